"""Training data of a config: files, synthetic queries, and decontamination."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError
from lsr.indexer.corpus.expansions.reading import Expansions, read_expansions
from lsr.indexer.storage.documents import DocumentStore
from lsr.io.atomic import atomic_file
from lsr.training.config.data import DataSettings
from lsr.training.data.decontamination import count_overlap, without_overlap
from lsr.training.data.example import Example, Examples
from lsr.training.data.read_examples import ExampleSet, concatenate, read_examples
from lsr.types import Document

log = logging.getLogger(__name__)

OVERLAP_FILE = "overlap.npy"
"""File in a run's folder with the examples that share text with test collections, so that they are found once."""


class Subset:
    """Subset of examples, by their numbers. Implements `Examples`."""

    def __init__(self, examples: Examples, rows: npt.NDArray[np.int64]) -> None:
        self._examples = examples
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> Example:
        return self._examples[int(self._rows[i])]

    def sources(self) -> npt.NDArray[np.int32]:
        """Return the number of each example's data set."""
        whole = self._examples.sources() if isinstance(self._examples, ExampleSet) else None
        return np.zeros(len(self), np.int32) if whole is None else whole[self._rows]

    def corpora(self) -> Iterator[DocumentStore]:
        """Yield each corpus whose documents the examples name by ids, once."""
        if isinstance(self._examples, ExampleSet):
            yield from self._examples.corpora()


def open_examples(data: DataSettings) -> ExampleSet:
    """Read the examples of a config's files, and generate those of `data.make_queries`. Raises what either raises."""
    if data.sets:
        return concatenate(
            [
                read_examples(
                    one.files, corpus=one.corpus, queries=one.queries, split=one.split, max_negatives=data.negatives
                )
                for one in data.sets
            ],
            as_sources=True,
        )
    sets = []
    if data.files or data.make_queries is None:
        sets.append(
            read_examples(
                data.files, corpus=data.corpus, queries=data.queries, split=data.split, max_negatives=data.negatives
            )
        )
    if data.make_queries is not None:
        from lsr.training.synthetic.examples import read_synthetic_examples

        sets.append(read_synthetic_examples(data.make_queries.corpus, data.make_queries.generation()))
    return concatenate(sets)


def read_training_expansions(data: DataSettings) -> Expansions | None:
    """Read the expansions of a config's documents, None where it names none. Raises what `read_expansions` raises."""
    return None if data.expansions is None else read_expansions(data.expansions, keep=data.keep_expansions)


def decontaminate(examples: Examples, data: DataSettings, folder: Path) -> Examples:
    """Return the examples that share no run of words with the test collections of `data.check_overlap`.

    folder: of the run, which caches the result. Raises LsrError where others are found and `data.overlap` is `refuse`,
    or where none is left.
    """
    if not data.check_overlap:
        return examples
    path = folder / OVERLAP_FILE
    if path.is_file():
        overlapping = np.load(path, allow_pickle=False)
    else:
        overlap = count_overlap(examples, data.check_overlap)
        if overlap.n_overlapping and data.overlap == "refuse":
            raise LsrError(
                f"data.check_overlap: {overlap.summary()}; set data.overlap to 'drop' to leave them out, or results "
                "there are not zero-shot"
            )
        log.info(overlap.summary() + ("; they are left out" if overlap.n_overlapping else ""))
        overlapping = np.zeros(len(examples), bool)
        overlapping[overlap.rows] = True
        with atomic_file(path) as file:
            np.save(file, overlapping, allow_pickle=False)
    if len(overlapping) != len(examples):
        raise LsrError(
            f"{path}: made of {len(overlapping):,} examples, not of {len(examples):,}: start again with --overwrite"
        )
    if overlapping.all():
        raise LsrError("data.check_overlap: every example shares text with these test collections: none is left")
    return Subset(examples, np.flatnonzero(~overlapping)) if overlapping.any() else examples


def candidate_documents(examples: Examples, data: DataSettings) -> Iterator[Document]:
    """Yield the documents beside those of the examples that negatives may come from, none of test collections.

    They are those of the corpora whose documents the examples name by ids, and of `data.mining.candidate_pool`.
    """
    documents = _beside(examples, () if data.mining is None else data.mining.candidate_pool)
    return without_overlap(documents, data.check_overlap) if data.check_overlap else documents


def _beside(examples: Examples, paths: Sequence[str]) -> Iterator[Document]:
    if isinstance(examples, (ExampleSet, Subset)):
        for corpus in examples.corpora():
            yield from (corpus[row] for row in range(len(corpus)))
    if paths:
        from lsr.indexer.corpus.reader import read_corpus

        yield from read_corpus([Path(path) for path in paths])
