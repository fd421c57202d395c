"""A query's terms in a segment: the frequent ones, of which maxima are stored, and the rare ones."""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import BLOCK_BITS, SUPERBLOCK_BITS
from lsr.kernels.jit.compile import kernel

RARE_BLOCK = np.uint32(8 + BLOCK_BITS)
RARE_SUPERBLOCK = np.uint32(8 + SUPERBLOCK_BITS)


@kernel
def split_terms(postings, terms, weights):
    """Return the rows of the query's frequent terms with their weights, and the ranks of its rare ones with theirs."""
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
    return rows, row_weights, rare, rare_weights
