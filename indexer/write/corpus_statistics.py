"""Statistics of a whole corpus, and the weights of encoders that need them (BM25)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import CorpusWeighting
from lsr.indexer.write.spill import Rows
from lsr.types import SparseBatch


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of all documents, as `lsr.encoders.base.CorpusStatistics` describes them. df: int64 (vocab_size)."""

    n_docs: int
    df: npt.NDArray[np.int64]
    mean_length: float


def corpus_statistics(all_rows: Sequence[Rows], vocab_size: int, weighting: CorpusWeighting) -> Statistics:
    """Count the rows of term counts that are there. weighting: says how long they make their documents."""
    df = np.zeros(vocab_size, np.int64)
    n_docs, length = 0, 0.0
    for rows in all_rows:
        n_docs += rows.n_live
        for term_ids, counts in rows.live_stretches():
            df += np.bincount(term_ids, minlength=vocab_size)
            length += float(weighting.lengths(term_ids, counts).sum())
    return Statistics(n_docs, df, length / max(n_docs, 1))


def weigh(
    rows: Rows, vocab_size: int, statistics: Statistics, weighting: CorpusWeighting
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the weights that rows of counts become, a stretch at a time."""
    for documents, span in rows.stretches():
        indptr = rows.indptr[documents.start : documents.stop + 1]
        counts = SparseBatch(indptr - indptr[0], rows.term_ids[span], rows.weights[span], vocab_size)
        yield weighting.weigh(counts, statistics).weights


class Weighable(Protocol):
    """Rows of counts that can become rows of weights."""

    @property
    def rows(self) -> Rows:
        """The counts; the weights, once they were replaced."""
        ...

    def replace_weights(self, pieces: Iterable[npt.NDArray[Any]]) -> None:
        """Put weights in the place of the counts."""
        ...


def weigh_all(segments: Sequence[Weighable], vocab_size: int, weighting: CorpusWeighting) -> Mapping[str, float]:
    """Weigh the counts of all segments by statistics of all that is there; return those for the manifest."""
    known = corpus_statistics([segment.rows for segment in segments], vocab_size, weighting)
    for segment in segments:
        segment.replace_weights(weigh(segment.rows, vocab_size, known, weighting))
    return {"n_docs": known.n_docs, "mean_length": known.mean_length}
