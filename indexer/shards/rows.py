"""Rows taken out of sparse vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lsr.types import SparseBatch


def taken(vectors: SparseBatch, rows: npt.NDArray[np.int64]) -> SparseBatch:
    """Return some rows of vectors, in the order given."""
    if len(rows) and int(rows[-1]) - int(rows[0]) == len(rows) - 1 and bool((np.diff(rows) == 1).all()):
        return vectors.rows(int(rows[0]), int(rows[-1]) + 1)
    lengths = np.diff(vectors.indptr)[rows]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    at = np.arange(indptr[-1]) + np.repeat(vectors.indptr[rows] - indptr[:-1], lengths)
    return SparseBatch(indptr, vectors.term_ids[at], vectors.weights[at], vectors.vocab_size)
