"""A query's terms in a segment: the frequent ones, whose maxima are stored, and the rare ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.geometry import BLOCK_BITS, SUPERBLOCK_BITS
from lsr.kernels.jit.compile import kernel

RARE_BLOCK = np.uint32(8 + BLOCK_BITS)
RARE_SUPERBLOCK = np.uint32(8 + SUPERBLOCK_BITS)
"""Bits by which a rare posting is shifted to give its block or superblock."""


class QueryTerms(NamedTuple):
    """A query's terms in a segment, in the order of the query.

    rows: int64, (n_frequent), rows of the frequent terms in `Postings.block_max`; row_weights: uint32. rare: int64,
    (n_rare), ranks of the rare terms in `Postings.rare_start`; rare_weights: uint32.
    """

    rows: npt.NDArray[np.int64]
    row_weights: npt.NDArray[np.uint32]
    rare: npt.NDArray[np.int64]
    rare_weights: npt.NDArray[np.uint32]


@kernel
def split_terms(postings, terms, weights):
    """Split a query's terms (int64, local ids) and weights (uint32) into frequent and rare: see `QueryTerms`."""
    n_frequent = 0
    for t in terms:
        n_frequent += postings.row[t] >= 0
    rows, row_weights = np.empty(n_frequent, np.int64), np.empty(n_frequent, np.uint32)
    rare, rare_weights = np.empty(terms.size - n_frequent, np.int64), np.empty(terms.size - n_frequent, np.uint32)
    n = m = 0
    for i in range(terms.size):
        row = postings.row[terms[i]]
        if row >= 0:
            rows[n], row_weights[n] = row, weights[i]
            n += 1
        else:
            rare[m], rare_weights[m] = -1 - row, weights[i]
            m += 1
    return QueryTerms(rows, row_weights, rare, rare_weights)


@kernel
def heaviest_first(rows, row_weights):
    """Sort rows by descending weight, both in place; of equal weights the earlier first."""
    for i in range(1, rows.size):
        row, weight = rows[i], row_weights[i]
        j = i
        while j > 0 and row_weights[j - 1] < weight:
            rows[j], row_weights[j] = rows[j - 1], row_weights[j - 1]
            j -= 1
        rows[j], row_weights[j] = row, weight
