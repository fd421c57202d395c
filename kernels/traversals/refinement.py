"""Bounds of blocks, only in some pages, and in them only as long as they leave a chance.

A superblock's bound by its own maxima is replaced, four terms at a time, the heaviest first, by the largest bound of
its blocks: after each four, pages whose bounds fell below the threshold are done. Half of the cache lines of block
maxima are so never read. The rare terms come last, block by block only in what is left, since their postings lie
anywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.geometry import PAGE_BLOCKS, PAGE_SUPERBLOCKS, SUPERBLOCK, SUPERBLOCK_BLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.dot_products import add_dots, add_page, largest_of_page
from lsr.kernels.simd.lower_bounds import lower_bounds
from lsr.kernels.simd.prefetch import prefetch
from lsr.kernels.traversals.query_terms import RARE_BLOCK, RARE_SUPERBLOCK
from lsr.kernels.traversals.superblock_bounds import (
    AHEAD,
    AHEAD_PAGES,
    PAGES_AT_ONCE,
    RARE_AT_ONCE,
    in_fours,
    prefetch_postings,
)

DENSE = 0.4
"""The share of wanted ones among neighbouring pages from which on summing all of them in a stream costs less."""


class Rare(NamedTuple):
    """The rare terms of a query, as refining takes them.

    ranks: int64, see `QueryTerms`; steps: uint32, their weights. by_blocks: whether they are bounded by blocks. Where
    hardly a page is skipped, the first ones, that costs more than it saves.
    """

    ranks: npt.NDArray[np.int64]
    steps: npt.NDArray[np.uint32]
    by_blocks: bool


@kernel
def largest_of_runs(largest, n):
    """Raise the first posting of each run to the largest impact of the run, in passes without branches.

    largest: uint32, superblock << 8 | impact of n postings, ascending in superblocks; of the later ones of a run the
    impacts are undefined afterwards. A run has SUPERBLOCK postings at most.
    """
    ahead = 1
    while ahead < min(SUPERBLOCK, n):
        near, far = largest[: n - ahead], largest[ahead:n]
        n_same = 0
        for j in range(near.size):  # ahead of the pass, so that what is read isn't written yet
            is_same = near[j] ^ far[j] < np.uint32(256)
            n_same += is_same
            near[j] = max(near[j], far[j]) if is_same else near[j]
        if n_same == 0:
            break
        ahead *= 2


@kernel
def add_rare_to_superblocks(postings, rare, steps, bounds, places):
    """Add the rare terms' largest impacts in each superblock to its bound, and note where each run starts.

    rare: int64, ranks; steps: uint32, their weights. bounds: uint32, (n_superblocks). places: see `Scratch`. Runs are
    found first, and added then, each to another bound, so that no addition waits for the last. Of a run that lies in
    two chunks both largest impacts are added. Returns the number of postings.
    """
    n_postings = 0
    largest, starts = np.empty(RARE_AT_ONCE, np.uint32), np.empty(RARE_AT_ONCE, np.uint32)
    for i in range(rare.size):
        weight, place = steps[i], places[i]
        own = postings.rare[postings.rare_start[rare[i]] : postings.rare_start[rare[i] + 1]]
        n_postings += own.size
        if i + 1 < rare.size:  # the part of the next list that is read first
            start, stop = postings.rare_start[rare[i + 1]], postings.rare_start[rare[i + 1] + 1]
            prefetch_postings(postings.rare, start, min(stop, start + 2 * RARE_AT_ONCE))
        for first in range(0, own.size, RARE_AT_ONCE):
            some = own[first : min(first + RARE_AT_ONCE, own.size)]
            end = first + some.size
            prefetch_postings(own, min(end + RARE_AT_ONCE, own.size), min(end + 2 * RARE_AT_ONCE, own.size))
            for j in range(some.size):
                posting = some[j]
                largest[j] = posting >> RARE_SUPERBLOCK << np.uint32(8) | posting & np.uint32(255)
            largest_of_runs(largest, some.size)
            n, last = 0, np.uint32(0xFFFFFFFF)
            for j in range(some.size):  # without a branch: written where the next one will be, counted if it is one
                starts[n] = j
                superblock = largest[j] >> np.uint32(8)
                n += superblock != last
                last = superblock
            in_two = first > 0 and own[first - 1] >> RARE_SUPERBLOCK == largest[0] >> np.uint32(8)
            began = place[np.int64(largest[0] >> np.uint32(8))] if in_two else np.uint32(0)
            for j in range(n):
                bound = largest[np.int64(starts[j])]
                superblock = np.int64(bound >> np.uint32(8))
                bounds[superblock] += weight * (bound & np.uint32(255))
                place[superblock] = np.uint32(first) + starts[j]
            if in_two:
                place[np.int64(largest[0] >> np.uint32(8))] = began
    return n_postings


@kernel
def add_rare_of_superblock(postings, rare, steps, places, superblock, bounds, first):
    """Add the rare terms' largest impacts in each block of a superblock to bounds[first:], one a block."""
    for i in range(rare.size):
        start, stop = postings.rare_start[rare[i]], postings.rare_start[rare[i] + 1]
        p = start + np.int64(places[i, superblock])
        while p < stop and np.int64(postings.rare[p] >> RARE_SUPERBLOCK) == superblock:
            posting = postings.rare[p]
            block, largest = posting >> RARE_BLOCK, posting & np.uint32(255)
            p += 1
            while p < stop and postings.rare[p] >> RARE_BLOCK == block:
                largest = max(largest, postings.rare[p] & np.uint32(255))
                p += 1
            bounds[first + np.int64(block) % SUPERBLOCK_BLOCKS] += steps[i] * largest


@kernel
def bound_of_superblock(postings, bounding, rare, steps, places, superblock):
    """Return the largest bound of a superblock's blocks, by all terms at once."""
    bounds = np.zeros(SUPERBLOCK_BLOCKS, np.uint32)
    for i in range(bounding.rows.size):
        maxima = postings.block_max[bounding.rows[i]]
        for b in range(SUPERBLOCK_BLOCKS):
            bounds[b] += np.uint32(bounding.coarse[i]) * np.uint32(maxima[superblock * SUPERBLOCK_BLOCKS + b])
    for b in range(SUPERBLOCK_BLOCKS):
        bounds[b] <<= np.uint32(bounding.finer)
    add_rare_of_superblock(postings, rare, steps, places, superblock, bounds, 0)
    return bounds.max()


@kernel
def prefetch_page(maxima, rows, n_blocks, page):
    """Prefetch the block maxima of a page of four rows."""
    first = np.int64(page) * PAGE_BLOCKS
    prefetch(maxima, rows[0] * n_blocks + first)
    prefetch(maxima, rows[1] * n_blocks + first)
    prefetch(maxima, rows[2] * n_blocks + first)
    prefetch(maxima, rows[3] * n_blocks + first)


@kernel
def refine_pages(postings, bounding, rare, scratch, upper_bounds, threshold, pages):
    """Lower the bounds of some pages' superblocks to those of their blocks, until they fall below the threshold.

    bounding: see `BoundTerms`, the heaviest first. rare: see `Rare`. upper_bounds: uint32, by the maxima of
    superblocks; those below the threshold stay as they are. threshold: uint64, in steps, at least 1.
    pages: uint32, ascending. A bound that ends below the threshold is any of those on the way. Returns the bytes of
    block maxima that were read.
    """
    n_lines = 0
    n_superblocks = upper_bounds.size
    maxima, coarse_maxima = postings.block_max.reshape(-1), postings.superblock_max.reshape(-1)
    n_blocks, finer = postings.block_max.shape[1], np.uint32(bounding.finer)
    sums, places = scratch.sums, scratch.places
    n = pages.size
    if n and (np.int64(pages[n - 1]) + 1) * PAGE_SUPERBLOCKS > n_superblocks:
        n -= 1
        for s in range(np.int64(pages[n]) * PAGE_SUPERBLOCKS, n_superblocks):
            if upper_bounds[s] >= threshold:
                upper_bounds[s] = bound_of_superblock(postings, bounding, rare.ranks, rare.steps, places, s)
    fours, weights = in_fours(bounding)
    live, numbers = np.empty(PAGES_AT_ONCE, np.int64), np.empty(PAGES_AT_ONCE, np.int64)
    rest = np.empty(PAGES_AT_ONCE * PAGE_SUPERBLOCKS, np.uint32)
    own, nothing = np.empty(PAGE_SUPERBLOCKS, np.uint32), np.zeros(PAGE_BLOCKS, np.uint32)
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
            for i in range(PAGE_SUPERBLOCKS):
                rest[j * PAGE_SUPERBLOCKS + i] = upper_bounds[page * PAGE_SUPERBLOCKS + i]
        for g in range(weights.size):
            a, b, c, d = fours[g, 0], fours[g, 1], fours[g, 2], fours[g, 3]
            kept = 0
            in_stream = is_dense and g == 0
            if in_stream:
                n_lines += span * min(4, bounding.rows.size)
                add_dots(sums, span, maxima, fours[0] * n_blocks + first_page * PAGE_BLOCKS, weights[0], AHEAD)
            else:
                n_lines += n_live * min(4, bounding.rows.size - 4 * g)
            for at in range(n_live):
                j = live[at]
                page = numbers[j]
                if g == 0 and not is_dense and begin + at + AHEAD_PAGES < n:
                    prefetch_page(maxima, fours[0], n_blocks, pages[begin + at + AHEAD_PAGES])
                block, s = page * PAGE_BLOCKS, page * PAGE_SUPERBLOCKS
                if not in_stream:
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
                largest_of_page(sums, j * PAGE_BLOCKS, finer, nothing, 0, own, 0)
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
                if is_left and g + 1 < weights.size:
                    prefetch_page(maxima, fours[g + 1], n_blocks, page)
            n_live = kept
        if rare.by_blocks and rare.ranks.size:
            for at in range(n_live):
                j = live[at]
                refine_rare(postings, rare, scratch, upper_bounds, threshold, numbers[j], j, finer)
        begin = end
    return n_lines * PAGE_BLOCKS


@kernel
def refine_rare(postings, rare, scratch, upper_bounds, threshold, page, at, finer):
    """Lower the bounds of a page's superblocks by the blocks of rare terms. at: number of its sums in `scratch`."""
    bounds, own = np.zeros(PAGE_BLOCKS, np.uint32), np.empty(PAGE_SUPERBLOCKS, np.uint32)
    superblock = np.int64(page) * PAGE_SUPERBLOCKS
    for i in range(PAGE_SUPERBLOCKS):
        if upper_bounds[superblock + i] >= threshold:
            places = scratch.places
            first = i * SUPERBLOCK_BLOCKS
            add_rare_of_superblock(postings, rare.ranks, rare.steps, places, superblock + i, bounds, first)
    largest_of_page(scratch.sums, at * PAGE_BLOCKS, finer, bounds, 0, own, 0)
    for i in range(PAGE_SUPERBLOCKS):
        if upper_bounds[superblock + i] >= threshold:
            upper_bounds[superblock + i] = own[i]
