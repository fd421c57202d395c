"""Two levels of bounds: superblocks first, blocks only in the pages where those leave a chance. Exact.

The bounds of superblocks are sixteen times fewer bytes than those of blocks, but looser. The pages with the largest
are bounded by blocks and scored first; the threshold they leave says which of the others have to be looked at.
A page has four superblocks, and the maxima of its blocks are one cache line of a row, so that it costs little more
alone than in a stream. Only a bound strictly below the threshold skips.
Source of the two levels: Carlson et al., "Dynamic Superblock Pruning for Fast Learned Sparse Retrieval", SIGIR 2025.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import PAGE_SUPERBLOCKS, SUPERBLOCK, SUPERBLOCK_BITS, SUPERBLOCK_BLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.traversals.blockmax import BUCKETS, bucket_shift, order_by_peak, threshold_in_steps, visit
from lsr.kernels.traversals.pages import pages_at_least
from lsr.kernels.traversals.query_terms import split_terms
from lsr.kernels.traversals.superblock_bounds import (
    LARGEST_WEIGHT,
    add_rare_to_blocks,
    find_coarse_peaks,
    find_peaks_of_pages,
    forbid,
    steps_of,
)

SAMPLE = 1024
"""About how many peaks are looked at to tell which is the n-th largest."""
FIRST, FIRST_POWER = 12.0, 0.7
"""How many superblocks are looked at first, for k results: about FIRST · k ** FIRST_POWER."""


@kernel
def peak_of_rank(peaks, n, threshold, top):
    """Return a number that about n peaks reach, the threshold if fewer do: counted in buckets, of many a sample.

    top: the largest peak, at least the threshold.
    """
    n_buckets = min(BUCKETS, max(peaks.size, 1))
    shift = bucket_shift(threshold, top, n_buckets)
    count = np.zeros(n_buckets, np.int64)
    every = 1 + peaks.size // SAMPLE
    for s in range(0, peaks.size, every):
        if peaks[s] >= threshold:
            count[np.uint64(top - peaks[s]) >> shift] += every
    reached = 0
    for bucket in range(n_buckets):
        reached += count[bucket]
        if reached >= n:
            below = np.uint64(bucket + 1) << shift
            return max(np.uint64(top) + np.uint64(1) - min(below, np.uint64(top) + np.uint64(1)), threshold)
    return threshold


@kernel
def superblocks_in_pages(peaks, pages, threshold, superblocks):
    """Write to `superblocks` those of some pages whose peak is ≥ threshold; return how many, and their largest peak."""
    n, top = 0, np.uint32(0)
    for page in pages:
        first = np.int64(page) * PAGE_SUPERBLOCKS
        for s in range(first, min(first + PAGE_SUPERBLOCKS, peaks.size)):
            if peaks[s] >= threshold:
                superblocks[n] = s
                n += 1
                top = max(top, peaks[s])
    return n, top


@kernel
def search_superblock(postings, terms, weights, base, allowed, floor, heap, scratch, visits):
    """Leave the best documents in `heap`, as `search_exhaustive` does.

    visits: int64, (3): the superblocks that were bounded by blocks, and those scored, are added. For the other
    arguments see `search_exhaustive`.
    """
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    bounds, peaks = scratch.bounds[: n_superblocks * SUPERBLOCK_BLOCKS], scratch.peaks[:n_superblocks]
    rows, row_weights, rare, rare_weights = split_terms(postings, terms, weights)
    query = (postings, rows, row_weights, rare, rare_weights)
    coarse, finer, rare_steps, unit = steps_of(row_weights, rare_weights)
    fine = np.uint64(LARGEST_WEIGHT) << np.uint64(finer)
    add_rare_to_blocks(postings, rare, rare_steps, bounds, scratch.places)
    top = find_coarse_peaks(postings.superblock_max, rows, coarse, finer, bounds, rare.size > 0, peaks, scratch.sums)
    if allowed.size:
        top = forbid(peaks, allowed)
    steps = threshold_in_steps(floor, heap, fine, unit)
    if top >= steps:
        # First the most promising ones, for a threshold, unless another segment has left one; then what reaches that.
        for is_first in (True, False):
            if is_first and heap[0]:
                continue
            least = steps = threshold_in_steps(floor, heap, fine, unit)
            if is_first:
                least = peak_of_rank(peaks, int(FIRST * heap.size**FIRST_POWER), steps, top)
            pages = scratch.list[: pages_at_least(peaks, least, scratch.list)]
            find_peaks_of_pages(postings.block_max, rows, coarse, finer, bounds, peaks, scratch.sums, pages)
            visits[0] += pages.size * PAGE_SUPERBLOCKS
            n, highest = superblocks_in_pages(peaks, pages, steps, scratch.queue)
            if n:
                queue = scratch.list[:n]
                shift = order_by_peak(peaks, scratch.queue[:n], steps, highest, queue)
                visits[1] += visit(query, highest, shift, queue, base, allowed, floor, heap, scratch, fine, unit, n)
    if rare.size:
        bounds[:] = 0
