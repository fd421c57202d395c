"""Statistics of a whole corpus, and the weights of encoders that need them (BM25)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import CorpusWeighting
from lsr.indexer.spool import Rows
from lsr.types import SparseBatch


@dataclass(frozen=True, slots=True)
class Statistics:
    """What `lsr.encoders.base.CorpusStatistics` names, of all documents. df: int64 (vocab_size)."""

    n_docs: int
    df: npt.NDArray[np.int64]
    mean_length: float


def corpus_statistics(all_rows: Sequence[Rows], vocab_size: int) -> Statistics:
    """Count rows of term counts."""
    df = np.zeros(vocab_size, np.int64)
    n_docs, length = 0, 0.0
    for rows in all_rows:
        n_docs += len(rows.indptr) - 1
        for _, span in rows.stretches():
            df += np.bincount(rows.term_ids[span], minlength=vocab_size)
            length += float(rows.weights[span].sum(dtype=np.float64))
    return Statistics(n_docs, df, length / max(n_docs, 1))


def weigh(
    rows: Rows, vocab_size: int, statistics: Statistics, weighting: CorpusWeighting
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the weights that rows of counts become, a stretch at a time."""
    for documents, span in rows.stretches():
        indptr = rows.indptr[documents.start : documents.stop + 1]
        counts = SparseBatch(indptr - indptr[0], rows.term_ids[span], rows.weights[span], vocab_size)
        yield weighting.weigh(counts, statistics).weights
