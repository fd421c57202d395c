"""Decontamination: training texts that share long runs of words with test collections.

A run of 13 words is what Brown et al., "Language Models are Few-Shot Learners" (2020, arXiv:2005.14165, appendix C),
take for contamination.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lsr.errors import LsrError
from lsr.eval.data.datasets import dataset_folders
from lsr.eval.data.query_files import read_queries
from lsr.indexer.corpus.reader import read_corpus
from lsr.io.progress import NoProgress, Progress
from lsr.training.data.example import Example, Examples
from lsr.training.data.ngram_hashes import Hashes, WordHashes, ngram_hashes
from lsr.types import Document

NGRAM_WORDS = 13
"""Length in words of a run, case and punctuation aside, that two texts don't share by chance."""

MAX_HELD_RUNS = 1 << 26
"""Runs of test collections that are in memory together, 512 MB; a larger collection is there alone."""

_AT_ONCE = 4096


@dataclass(slots=True)
class Overlap:
    """Overlap of training examples with test collections. by_collection: number of examples that share a run with it.

    rows: the numbers of the examples that share a run with any, ascending. first: description of the first one.
    """

    n_examples: int = 0
    rows: list[int] = field(default_factory=list)
    by_collection: dict[str, int] = field(default_factory=dict)
    first: str = ""

    @property
    def n_overlapping(self) -> int:
        """Number of examples that share a run with any collection."""
        return len(self.rows)

    def summary(self) -> str:
        """Return a summary in one line."""
        if not self.n_overlapping:
            names = ", ".join(self.by_collection)
            return f"none of {self.n_examples:,} examples shares a run of {NGRAM_WORDS} words with {names}"
        counts = ", ".join(f"{count:,} with {name}" for name, count in self.by_collection.items() if count)
        return (
            f"{self.n_overlapping:,} of {self.n_examples:,} examples share a run of {NGRAM_WORDS} words with a test "
            f"collection: {counts}; the first: {self.first}"
        )


def count_overlap(
    examples: Examples, beir_folders: Sequence[str | Path], *, progress: Progress | None = None
) -> Overlap:
    """Count the examples that share a run of 13 words with a document or query of a test collection.

    beir_folders: BEIR folders, or folders of such. Memory: 512 MB, or 8 bytes a word of a larger collection.
    """
    overlap, listener = Overlap(len(examples)), progress or NoProgress()
    words = WordHashes()
    rows: set[int] = set()
    for tested in _in_groups(_named(beir_folders), words):
        listener.start(f"comparing with {', '.join(tested)}", len(examples), "example")
        overlap.by_collection |= dict.fromkeys(tested, 0)
        for i in range(len(examples)):
            example = examples[i]
            own = [ngram_hashes(words.of(text), NGRAM_WORDS) for text in _texts_of_example(example)]
            for name in _sharing(np.concatenate(own), tested):
                rows.add(i)
                overlap.by_collection[name] += 1
                overlap.first = overlap.first or f"example {i:,}, query {example.query[:80]!r}, with {name}"
            listener.advance(1)
    overlap.rows = sorted(rows)
    return overlap


def without_overlap(documents: Iterable[Document], beir_folders: Sequence[str | Path]) -> Iterator[Document]:
    """Yield the documents that share no run of 13 words with a test collection. Memory: 8 bytes a word of these."""
    words = WordHashes()
    tested = {name: _runs_of(folder, words) for name, folder in _named(beir_folders).items()}
    for document in documents:
        if not any(_sharing(ngram_hashes(words.of(document.full_text), NGRAM_WORDS), tested)):
            yield document


def _named(beir_folders: Sequence[str | Path]) -> dict[str, Path]:
    """Return the test collections in folders by their names, by their folders where a name comes twice."""
    collections = [found for given in beir_folders for found in dataset_folders(Path(given))]
    often = Counter(name for name, _ in collections)
    return {name if often[name] == 1 else str(folder): folder for name, folder in collections}


def _texts_of_example(example: Example) -> Iterator[str]:
    yield example.query
    yield from (document.full_text for document in example.documents)


def _sharing(found: Hashes, tested: Mapping[str, Hashes]) -> Iterator[str]:
    """Yield the collections that have any of these runs."""
    for name, runs_there in tested.items():
        at = np.minimum(np.searchsorted(runs_there, found), max(len(runs_there) - 1, 0))
        if len(runs_there) and (runs_there[at] == found).any():
            yield name


def _in_groups(collections: Mapping[str, Path], words: WordHashes) -> Iterator[dict[str, Hashes]]:
    """Yield the runs of several collections at a time, as many as fit into MAX_HELD_RUNS."""
    group: dict[str, Hashes] = {}
    for name, folder in collections.items():
        found = _runs_of(folder, words)
        if group and sum(map(len, group.values())) + len(found) > MAX_HELD_RUNS:
            yield group
            group = {}
        group[name] = found
    if group:
        yield group


def check_no_overlap(
    examples: Examples, beir_folders: Sequence[str | Path], *, progress: Progress | None = None
) -> Overlap:
    """Raise LsrError if any example shares a run of 13 words with a test collection; else return the overlap."""
    overlap = count_overlap(examples, beir_folders, progress=progress)
    if overlap.n_overlapping:
        raise LsrError(f"{overlap.summary()}; take them out, or results on it are not zero-shot")
    return overlap


def _runs_of(folder: Path, words: WordHashes) -> Hashes:
    """Return the sorted hashes of all runs in a test collection's documents and queries."""
    found: list[Hashes] = [np.empty(0, np.uint64)]
    waiting: list[Hashes] = []
    for text in _texts_of(folder):
        waiting.append(ngram_hashes(words.of(text), NGRAM_WORDS))
        if len(waiting) >= _AT_ONCE:
            found.append(np.unique(np.concatenate(waiting)))
            waiting = []
    return np.unique(np.concatenate([*found, *waiting]))


def _texts_of(folder: Path) -> Iterator[str]:
    for document in read_corpus([next(p for n in ("corpus.jsonl", "corpus.jsonl.gz") if (p := folder / n).is_file())]):
        yield document.full_text
    for name in ("queries.jsonl", "queries.jsonl.gz"):
        if (folder / name).is_file():
            yield from read_queries(folder / name).values()
