"""Upper bounds on the score of any document of a block: sums of weight · block maximum, never rounded down."""

from __future__ import annotations

import numpy as np

from lsr.kernels.compile import kernel
from lsr.kernels.layout import BLOCK_BITS, BLOCKS, SUPERBLOCK_BITS

BOUND_WINDOW = 4096
"""Bounds worked on at once: 16 KiB, half of a first-level cache."""
NOWHERE = np.uint32(0xFFFFFFFF)
RARE_BLOCK = np.uint32(8 + BLOCK_BITS)
RARE_SUPERBLOCK = np.uint32(8 + SUPERBLOCK_BITS)


@kernel
def split_terms(postings, terms, weights):
    """Return the query's frequent rows with their weights, and its rare terms with theirs.

    The frequent are padded to a multiple of four by rows of weight 0, for `add_four`.
    """
    n_frequent = 0
    for t in terms:
        n_frequent += postings.row[t] >= 0
    padded = (n_frequent + 3) // 4 * 4
    rows, row_weights = np.zeros(padded, np.int64), np.zeros(padded, np.uint32)
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


@kernel
def add_four(bounds, a, b, c, d, weight_a, weight_b, weight_c, weight_d):
    """Add four weighted rows of maxima (uint8) to as many bounds (uint32)."""
    for i in range(bounds.size):
        bounds[i] += (
            weight_a * np.uint32(a[i])
            + weight_b * np.uint32(b[i])
            + weight_c * np.uint32(c[i])
            + weight_d * np.uint32(d[i])
        )


@kernel
def bound_frequent(maxima, rows, row_weights, bounds):
    """Set bounds to Σ row_weights[i] · maxima[rows[i]]. maxima: uint8 (n_frequent, bounds.size)."""
    for first in range(0, bounds.size, BOUND_WINDOW):
        end = min(first + BOUND_WINDOW, bounds.size)
        window = bounds[first:end]
        window[:] = 0
        for i in range(0, rows.size, 4):
            add_four(
                window,
                maxima[rows[i], first:end],
                maxima[rows[i + 1], first:end],
                maxima[rows[i + 2], first:end],
                maxima[rows[i + 3], first:end],
                row_weights[i],
                row_weights[i + 1],
                row_weights[i + 2],
                row_weights[i + 3],
            )


@kernel
def bound_rare(postings, rare, rare_weights, scratch):
    """Add the rare terms to scratch.bounds, and note in scratch where each one's run in each superblock starts.

    The notes are chains of nodes from scratch.head, which must be zero.
    """
    bounds, head = scratch.bounds, scratch.head
    node = np.uint32(0)
    for i in range(rare.size):
        weight = rare_weights[i]
        block, superblock, largest = NOWHERE, NOWHERE, np.uint32(0)
        for p in range(postings.rare_start[rare[i]], postings.rare_start[rare[i] + 1]):
            posting = postings.rare[p]
            impact = posting & np.uint32(255)
            if posting >> RARE_BLOCK != block:
                block, largest = posting >> RARE_BLOCK, np.uint32(0)
                if posting >> RARE_SUPERBLOCK != superblock:
                    superblock = posting >> RARE_SUPERBLOCK
                    node += np.uint32(1)
                    scratch.node_next[node] = head[superblock]
                    scratch.node_term[node] = i
                    scratch.node_start[node] = p - postings.rare_start[rare[i]]
                    head[superblock] = node
            if impact > largest:
                bounds[block] += weight * (impact - largest)
                largest = impact


@kernel
def largest_of_superblocks(bounds, peaks):
    """Set peaks[s] to the largest bound of superblock s; return the largest of all."""
    top = np.uint32(0)
    for s in range(peaks.size):
        peak = np.uint32(0)
        for b in range(s * BLOCKS, (s + 1) * BLOCKS):
            peak = max(peak, bounds[b])
        peaks[s] = peak
        top = max(top, peak)
    return top
