"""Upper bounds on the score of any document of a superblock: sums of weight · largest impact, never rounded down.

Two kinds. `add_frequent` and `add_rare` sum in units of the score itself. For the bounds of blocks, of
which there are sixteen times as many, `lsr.kernels.peaks` sums weights of seven bits, rounded up.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.compile import kernel
from lsr.kernels.layout import BLOCK_BITS, SUPERBLOCK_BITS

BOUND_WINDOW = 4096
"""Bounds worked on at once: 16 KiB, half of a first-level cache."""
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
def add_one(bounds, a, weight):
    """Add a weighted row of maxima (uint8) to as many bounds (uint32)."""
    for i in range(bounds.size):
        bounds[i] += weight * np.uint32(a[i])


@kernel
def add_frequent(maxima, rows, row_weights, bounds):
    """Add Σ row_weights[i] · maxima[rows[i]] to bounds. maxima: uint8 (n_frequent, bounds.size)."""
    by_four = rows.size & ~3
    for first in range(0, bounds.size, BOUND_WINDOW):
        end = min(first + BOUND_WINDOW, bounds.size)
        window = bounds[first:end]
        for i in range(0, by_four, 4):
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
        for i in range(by_four, rows.size):
            add_one(window, maxima[rows[i], first:end], row_weights[i])


@kernel
def add_rare(postings, rare, rare_weights, bounds, places):
    """Add the rare terms to the bounds of superblocks, and note where each run starts.

    places: see `Scratch`. Lists are read backwards, so that what is noted last of a superblock is its
    first posting; nothing is compared or branched on for it.
    """
    for i in range(rare.size):
        weight = rare_weights[i]
        start = postings.rare_start[rare[i]]
        place = places[i]
        last, largest = np.uint32(0xFFFFFFFF), np.uint32(0)
        for p in range(postings.rare_start[rare[i] + 1] - 1, start - 1, -1):
            posting = postings.rare[p]
            here = posting >> RARE_SUPERBLOCK
            before = largest if here == last else np.uint32(0)
            largest = max(posting & np.uint32(255), before)
            bounds[here] += weight * (largest - before)
            last = here
            place[here] = p - start
