"""Static pruning: a vector keeps its largest weights; and unit length, where scores are cosines."""

from __future__ import annotations

import itertools

import numpy as np

from lsr.encoders.config import COSINE, Pruning
from lsr.types import SparseBatch


def prune(batch: SparseBatch, pruning: Pruning) -> SparseBatch:
    """Keep of each row the weights above the threshold, and of these the `top_k` largest.

    Of equal weights those of smaller term ids are kept, so that the result never depends on the machine.
    """
    rows = np.repeat(np.arange(len(batch)), np.diff(batch.indptr))
    keep = batch.weights > pruning.threshold
    if pruning.top_k is not None:
        order = np.lexsort((batch.term_ids, -batch.weights, rows))
        rank = np.empty(batch.nnz, np.int64)
        rank[order] = np.arange(batch.nnz) - batch.indptr[rows]
        keep &= rank < pruning.top_k
    lengths = np.bincount(rows[keep], minlength=len(batch))
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return SparseBatch(indptr, batch.term_ids[keep], batch.weights[keep], batch.vocab_size)


def for_similarity(batch: SparseBatch, similarity: str) -> SparseBatch:
    """Return rows whose dot products are this similarity: of unit length for cosines, unchanged for dot products.

    A row's bits depend on itself alone; one without weights stays empty.
    """
    if similarity != COSINE:
        return batch
    weights = batch.weights.astype(np.float64)
    for start, end in itertools.pairwise(batch.indptr):
        if end > start:
            weights[start:end] /= np.sqrt(np.square(weights[start:end]).sum())
    return SparseBatch(batch.indptr, batch.term_ids, weights.astype(np.float32), batch.vocab_size)
