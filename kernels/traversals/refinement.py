"""Bounds of blocks, only in some pages, and in them only as long as they leave a chance.

A superblock's bound by its own maxima is replaced, four terms at a time, the heaviest first, by the largest bound of
its blocks: after each four, pages whose bounds fell below the threshold are done. Half of the cache lines of block
maxima are so never read.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import PAGE_BLOCKS, PAGE_SUPERBLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.dot_products import add_dots, add_page, largest_of_four, largest_of_page
from lsr.kernels.simd.lower_bounds import lower_bounds
from lsr.kernels.simd.prefetch import prefetch
from lsr.kernels.traversals.superblock_bounds import (
    AHEAD,
    AHEAD_PAGES,
    DENSE,
    PAGES_AT_ONCE,
    find_last_upper_bounds,
    in_fours,
)


@kernel
def prefetch_page(maxima, rows, n_blocks, page):
    """Prefetch the block maxima of a page of four rows."""
    first = np.int64(page) * PAGE_BLOCKS
    prefetch(maxima, rows[0] * n_blocks + first)
    prefetch(maxima, rows[1] * n_blocks + first)
    prefetch(maxima, rows[2] * n_blocks + first)
    prefetch(maxima, rows[3] * n_blocks + first)


@kernel
def refine_pages(postings, bounding, block_bounds, upper_bounds, sums, threshold, pages):
    """Lower the bounds of some pages' superblocks to those of their blocks, until they fall below the threshold.

    bounding: see `BoundTerms`, the heaviest first. block_bounds: of the rare terms. upper_bounds: uint32, by the
    maxima of superblocks; those below the threshold stay as they are. sums: see `Scratch`. threshold: uint64, in
    steps, at least 1. pages: uint32, ascending. A bound that ends below the threshold is any of those on the way.
    Returns the bytes of block maxima that were read.

    Nothing branches on a bound: of the pages half are done after each four terms, and a processor can't guess which.
    """
    n_lines = 0
    n_superblocks = upper_bounds.size
    maxima, coarse_maxima = postings.block_max.reshape(-1), postings.superblock_max.reshape(-1)
    n_blocks, finer = postings.block_max.shape[1], np.uint32(bounding.finer)
    n = pages.size
    if n and (np.int64(pages[n - 1]) + 1) * PAGE_SUPERBLOCKS > n_superblocks:
        n -= 1
        last = upper_bounds[np.int64(pages[n]) * PAGE_SUPERBLOCKS :]
        before = last.copy()
        find_last_upper_bounds(postings.block_max, bounding, block_bounds, upper_bounds)
        for i in range(last.size):
            last[i] = last[i] if before[i] >= threshold else before[i]
    fours, weights = in_fours(bounding)
    live, numbers = np.empty(PAGES_AT_ONCE, np.int64), np.empty(PAGES_AT_ONCE, np.int64)
    rest = np.empty(PAGES_AT_ONCE * PAGE_SUPERBLOCKS, np.uint32)
    own = np.empty(PAGE_SUPERBLOCKS, np.uint32)
    begin = 0
    while begin < n:
        first_page, end = np.int64(pages[begin]), begin + 1
        while end < n and np.int64(pages[end]) < first_page + PAGES_AT_ONCE:
            end += 1
        is_dense = end - begin >= DENSE * PAGES_AT_ONCE
        if not is_dense:
            end = min(begin + PAGES_AT_ONCE, n)
        n_live = end - begin
        span = np.int64(pages[end - 1]) + 1 - first_page if is_dense else n_live
        sums[: span * PAGE_BLOCKS] = 0
        for at in range(n_live):
            page = np.int64(pages[begin + at])
            j = page - first_page if is_dense else at
            live[at], numbers[j] = j, page
            largest_of_four(block_bounds, page * PAGE_BLOCKS, rest, j * PAGE_SUPERBLOCKS)
            for i in range(PAGE_SUPERBLOCKS):
                of_frequent = upper_bounds[page * PAGE_SUPERBLOCKS + i] - rest[j * PAGE_SUPERBLOCKS + i]
                rest[j * PAGE_SUPERBLOCKS + i] = of_frequent
        for g in range(weights.size):
            a, b, c, d = fours[g, 0], fours[g, 1], fours[g, 2], fours[g, 3]
            kept = 0
            in_stream = is_dense and g == 0
            n_lines += (span if in_stream else n_live) * min(4, bounding.rows.size - 4 * g)
            if in_stream:
                add_dots(sums, span, maxima, fours[0] * n_blocks + first_page * PAGE_BLOCKS, weights[0], AHEAD)
            for at in range(n_live):
                j = live[at]
                page = numbers[j]
                block, s = page * PAGE_BLOCKS, page * PAGE_SUPERBLOCKS
                if not in_stream:
                    if g == 0 and begin + at + AHEAD_PAGES < n:
                        prefetch_page(maxima, fours[0], n_blocks, pages[begin + at + AHEAD_PAGES])
                    add_page(
                        sums,
                        j * PAGE_BLOCKS,
                        maxima,
                        a * n_blocks + block,
                        b * n_blocks + block,
                        c * n_blocks + block,
                        d * n_blocks + block,
                        weights[g],
                    )
                largest_of_page(sums, j * PAGE_BLOCKS, finer, block_bounds, block, own, 0)
                is_left = lower_bounds(
                    rest,
                    j * PAGE_SUPERBLOCKS,
                    coarse_maxima,
                    a * n_superblocks + s,
                    b * n_superblocks + s,
                    c * n_superblocks + s,
                    d * n_superblocks + s,
                    weights[g],
                    finer,
                    own,
                    upper_bounds,
                    s,
                    np.uint32(threshold),
                )
                live[kept] = j
                kept += is_left
            n_live = kept
            if g + 1 < weights.size:
                for at in range(n_live):
                    prefetch_page(maxima, fours[g + 1], n_blocks, numbers[live[at]])
        begin = end
    return n_lines * PAGE_BLOCKS
