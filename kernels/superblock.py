"""Two levels of bounds: superblocks first, blocks only where those leave a chance. Exact.

The bounds of superblocks are sixteen times fewer bytes than those of blocks, but looser. Superblocks
are visited in (nearly) descending order of their bound until that falls below the threshold; a visited
one gets the bounds of its blocks, and is scored if the largest reaches the threshold. Only a bound
strictly below the threshold skips.
Source: Carlson et al., "Dynamic Superblock Pruning for Fast Learned Sparse Retrieval", SIGIR 2025.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.blockmax import order_by_peak, score_superblock
from lsr.kernels.bounds import RARE_BLOCK, RARE_SUPERBLOCK, add_frequent, add_rare, split_terms
from lsr.kernels.compile import kernel
from lsr.kernels.layout import BLOCKS, SUPERBLOCK, SUPERBLOCK_BITS
from lsr.kernels.prefetch import prefetch
from lsr.kernels.topk import offer

AHEAD_BOUNDS = 6


@kernel
def largest_block_bound(postings, rows, row_weights, rare, rare_weights, superblock, places, bounds):
    """Return the largest bound of a superblock's blocks. bounds: uint32 (BLOCKS), scratch."""
    maxima = postings.block_max.reshape(postings.block_max.size)
    n_blocks = postings.block_max.shape[1]
    bounds[:] = 0
    for i in range(rare.size):
        weight = rare_weights[i]
        start, stop = postings.rare_start[rare[i]], postings.rare_start[rare[i] + 1]
        p = start + np.int64(places[i, superblock])
        block, largest = np.uint32(0xFFFFFFFF), np.uint32(0)
        while p < stop and postings.rare[p] >> RARE_SUPERBLOCK == superblock:
            posting = postings.rare[p]
            impact = posting & np.uint32(255)
            if posting >> RARE_BLOCK != block:
                block, largest = posting >> RARE_BLOCK, np.uint32(0)
            if impact > largest:
                bounds[block & np.uint32(BLOCKS - 1)] += weight * (impact - largest)
                largest = impact
            p += 1
    peak = np.uint32(0)
    first = superblock * BLOCKS
    for b in range(0, BLOCKS, 8):
        a0, a1, a2, a3 = bounds[b], bounds[b + 1], bounds[b + 2], bounds[b + 3]
        a4, a5, a6, a7 = bounds[b + 4], bounds[b + 5], bounds[b + 6], bounds[b + 7]
        for i in range(rows.size):
            weight = row_weights[i]
            at = rows[i] * n_blocks + first + b
            a0 = np.uint32(a0 + np.uint32(weight * np.uint32(maxima[at])))
            a1 = np.uint32(a1 + np.uint32(weight * np.uint32(maxima[at + 1])))
            a2 = np.uint32(a2 + np.uint32(weight * np.uint32(maxima[at + 2])))
            a3 = np.uint32(a3 + np.uint32(weight * np.uint32(maxima[at + 3])))
            a4 = np.uint32(a4 + np.uint32(weight * np.uint32(maxima[at + 4])))
            a5 = np.uint32(a5 + np.uint32(weight * np.uint32(maxima[at + 5])))
            a6 = np.uint32(a6 + np.uint32(weight * np.uint32(maxima[at + 6])))
            a7 = np.uint32(a7 + np.uint32(weight * np.uint32(maxima[at + 7])))
        peak = max(peak, max(max(max(a0, a1), max(a2, a3)), max(max(a4, a5), max(a6, a7))))
    return peak


@kernel
def search_superblock(postings, terms, weights, base, allowed, floor, heap, scratch, visits):
    """Leave the best documents in `heap`, as `search_exhaustive` does. For the arguments see `search_blockmax`."""
    n_docs = postings.insertion.size
    peaks = scratch.peaks[: (n_docs + SUPERBLOCK - 1) >> SUPERBLOCK_BITS]
    rows, row_weights, rare, rare_weights = split_terms(postings, terms, weights)
    peaks[:] = 0
    add_rare(postings, rare, rare_weights, peaks, scratch.places)
    add_frequent(postings.superblock_max, rows, row_weights, peaks)
    top = np.uint32(0)
    for peak in peaks:
        top = max(top, peak)
    threshold = max(floor, heap[0] >> np.uint64(32))
    if top >= threshold:
        n, shift = order_by_peak(peaks, threshold, top, scratch.queue)
        bounds = np.zeros(BLOCKS, np.uint32)
        maxima = postings.block_max.reshape(postings.block_max.size)
        n_blocks = postings.block_max.shape[1]
        scores = scratch.window[:SUPERBLOCK]
        scored = 0
        visited = 0
        for i in range(n):
            superblock = np.int64(scratch.queue[i])
            if i + AHEAD_BOUNDS < n:
                ahead = np.int64(scratch.queue[i + AHEAD_BOUNDS])
                for row in rows:
                    prefetch(maxima, row * n_blocks + ahead * BLOCKS)
            peak = peaks[superblock]
            if peak < threshold:
                if np.uint64(top) - (np.uint64(top - peak) >> shift << shift) < threshold:
                    break
                continue
            if allowed.size and allowed[superblock] == 0:
                continue
            visited += 1
            if (
                largest_block_bound(postings, rows, row_weights, rare, rare_weights, superblock, scratch.places, bounds)
                < threshold
            ):
                continue
            scored += 1
            score_superblock(postings, rows, row_weights, rare, rare_weights, superblock, scratch.places, scores)
            first = superblock << SUPERBLOCK_BITS
            threshold = offer(scores[: n_docs - first], first, postings.insertion, base, allowed, floor, heap)
        visits[0] += visited
        visits[1] += scored
