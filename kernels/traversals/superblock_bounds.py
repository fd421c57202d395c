"""The upper bound of every superblock: the largest bound of its blocks.

Bounds count in *steps* of unit / fine of a score, so that a frequent term's weight takes seven bits and bytes can be
multiplied four at a time. Everything is rounded up, so that a bound is at least `fine / unit` times the score of any
document in its superblock, rounded down or not (see `as_steps`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.geometry import PAGE_BLOCKS, PAGE_SUPERBLOCKS, SUPERBLOCK_BLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.dot_products import add_dots, add_in_order, largest_of_four, largest_of_page
from lsr.kernels.simd.prefetch import prefetch
from lsr.kernels.traversals.query_terms import RARE_BLOCK, RARE_SUPERBLOCK

LARGEST_WEIGHT = 127
FINEST = 8
"""Bits that bounds are finer than sums of seven-bit weights: for the rare terms, whose weights have more."""
AHEAD_PAGES = 8
"""Pages ahead at which the maxima of all rows are prefetched."""
RARE_AT_ONCE = 256
STEPS_IN_A_BLOCK = 2 * 255
"""The most that `add_rare_to_blocks` makes of a block's four impacts."""


class Steps(NamedTuple):
    """A query's weights in steps.

    coarse: uint8, (n_frequent), weights of the frequent terms in coarse steps, each of 2 ** finer steps. rare: uint32,
    (n_rare), weights of the rare terms in steps. unit: uint64; unit / (127 · 2 ** finer) of the score are a step.
    """

    coarse: npt.NDArray[np.uint8]
    rare: npt.NDArray[np.uint32]
    finer: int
    unit: np.uint64


class Scale(NamedTuple):
    """The size of a step: unit / fine of the score. Both uint64."""

    fine: np.uint64
    unit: np.uint64


class BoundTerms(NamedTuple):
    """The frequent terms by which superblocks are bounded: rows, int64, and `coarse` and `finer` of `Steps`."""

    rows: npt.NDArray[np.int64]
    coarse: npt.NDArray[np.uint8]
    finer: int


@kernel
def steps_of(row_weights, rare_weights):
    """Choose the steps for the weights of frequent and rare terms. See `Steps`.

    Weights: uint32, below 2²⁵. No sum of bounds reaches 2³².
    """
    unit = np.uint64(1)
    for weight in row_weights if row_weights.size else rare_weights:
        unit = max(unit, np.uint64(weight))
    finer = FINEST
    while True:
        fine = np.uint64(LARGEST_WEIGHT) << np.uint64(finer)
        most = np.uint64(row_weights.size) * fine * np.uint64(255)
        for weight in rare_weights:
            most += np.uint64(STEPS_IN_A_BLOCK) * ((np.uint64(weight) * fine + unit - np.uint64(1)) // unit)
        if most <= np.uint64(0xFFFFFFFF):
            break
        if finer:
            finer -= 1
        else:
            unit *= np.uint64(2)
    coarse = np.empty(row_weights.size, np.uint8)
    for i in range(row_weights.size):
        coarse[i] = (np.uint64(row_weights[i]) * np.uint64(LARGEST_WEIGHT) + unit - np.uint64(1)) // unit
    rare = np.empty(rare_weights.size, np.uint32)
    for i in range(rare_weights.size):
        rare[i] = (np.uint64(rare_weights[i]) * fine + unit - np.uint64(1)) // unit
    return Steps(coarse, rare, finer, unit)


@kernel
def scale_of(steps):
    """Return the size of a query's steps."""
    return Scale(np.uint64(LARGEST_WEIGHT) << np.uint64(steps.finer), steps.unit)


@kernel
def as_steps(score, scale):
    """Return the most steps that don't exceed a score: a bound below that is of no document with the score.

    score: uint64, below 2³⁴; scale.fine: below 2²⁴.
    """
    return score * scale.fine // scale.unit


@kernel
def prefetch_postings(postings, start, stop):
    """Prefetch postings[start:stop], uint32, a cache line at a time."""
    for line in range(start, stop, 16):
        prefetch(postings, line)


@kernel
def add_rare_to_blocks(postings, rare, steps, block_bounds, places):
    """Add the rare terms to the bounds of blocks, and note where each run starts.

    rare: int64, ranks; steps: uint32, their weights. block_bounds, places: see `Scratch`. Of a block's impacts it adds
    the last, and of every other what it exceeds its successor by: at least the largest, just that if there are two,
    and each is computed without waiting for the one before. Returns the number of postings.
    """
    n_postings = 0
    added = np.empty(RARE_AT_ONCE, np.uint32)
    same_block = np.uint32(1) << RARE_BLOCK
    for i in range(rare.size):
        weight = steps[i]
        own = postings.rare[postings.rare_start[rare[i]] : postings.rare_start[rare[i] + 1]]
        n_postings += own.size
        place = places[i]
        if i + 1 < rare.size:  # the part of the next list that is read first
            start, stop = postings.rare_start[rare[i + 1]], postings.rare_start[rare[i + 1] + 1]
            prefetch_postings(postings.rare, max(stop - 2 * RARE_AT_ONCE, start), stop)
        end = own.size
        if end == 0:
            continue
        last = own[end - 1]
        block_bounds[last >> RARE_BLOCK] += weight * (last & np.uint32(255))
        place[last >> RARE_SUPERBLOCK] = end - 1
        end -= 1
        while end > 0:
            first = max(end - RARE_AT_ONCE, 0)
            prefetch_postings(own, max(first - 2 * RARE_AT_ONCE, 0), max(first - RARE_AT_ONCE, 0))
            some, after = own[first:end], own[first + 1 : end + 1]
            for j in range(some.size):
                impact = some[j] & np.uint32(255)
                beyond = impact - min(impact, after[j] & np.uint32(255))
                added[j] = weight * (beyond if some[j] ^ after[j] < same_block else impact)
            for j in range(some.size - 1, -1, -1):
                block_bounds[some[j] >> RARE_BLOCK] += added[j]
                place[some[j] >> RARE_SUPERBLOCK] = first + j
            end = first
    return n_postings


class Fours(NamedTuple):
    """Rows in groups of four, as `add_dots` takes them: where a row starts is its number times its length.

    starts: int64 (n, 4), where the rows start. weights: uint32 (n), those of four rows, a byte each. every: int64, the
    starts of all rows. Where fewer than four are left in a group, a row is repeated, with weight 0.
    """

    starts: npt.NDArray[np.int64]
    weights: npt.NDArray[np.uint32]
    every: npt.NDArray[np.int64]


@kernel
def in_fours(terms, length):
    """Return `Fours` of the rows of frequent terms. length: of a row."""
    rows, coarse = terms.rows, terms.coarse
    n = (rows.size + 3) // 4
    fours, weights = np.empty((n, 4), np.int64), np.zeros(n, np.uint32)
    for i in range(4 * n):
        fours[i // 4, i % 4] = rows[min(i, rows.size - 1)] * length
        if i < rows.size:
            weights[i // 4] |= np.uint32(coarse[i]) << np.uint32(8 * (i % 4))
    return Fours(fours, weights, rows * length)


@kernel
def prefetch_page(flat, fours, at):
    """Prefetch a page of all rows. at: where it begins in a row."""
    for start in fours.every:
        prefetch(flat, start + at)


@kernel
def prefetch_first_pages(flat, fours, length):
    """Prefetch those pages of all rows, of a length, that no earlier page is ahead of."""
    for at in range(0, min(AHEAD_PAGES * PAGE_BLOCKS, length), PAGE_BLOCKS):
        prefetch_page(flat, fours, at)


@kernel
def sum_page(flat, fours, at, sums):
    """Set the sums of a page of all rows, in the order of `add_dots`. at: where the page begins in a row."""
    sums[:PAGE_BLOCKS] = 0
    starts = fours.starts
    for i in range(fours.weights.size):
        first, second, third, fourth = starts[i, 0], starts[i, 1], starts[i, 2], starts[i, 3]
        add_dots(sums, flat, first + at, second + at, third + at, fourth + at, fours.weights[i])


@kernel
def find_upper_bounds(maxima, terms, block_bounds, upper_bounds, sums):
    """Set upper_bounds to the largest bound of each superblock's blocks, block_bounds to zero; return the largest.

    maxima: uint8 (n_frequent, n_superblocks · SUPERBLOCK_BLOCKS). terms: see `BoundTerms`. block_bounds: uint32, of
    blocks, with the rare terms in it. sums: uint32, (PAGE_BLOCKS), scratch.
    """
    n_blocks = maxima.shape[1]
    flat = maxima.reshape(maxima.size)
    fours, finer = in_fours(terms, n_blocks), np.uint32(terms.finer)
    whole = n_blocks - n_blocks % PAGE_BLOCKS
    prefetch_first_pages(flat, fours, whole)
    for at in range(0, whole, PAGE_BLOCKS):
        if at + AHEAD_PAGES * PAGE_BLOCKS < whole:
            prefetch_page(flat, fours, at + AHEAD_PAGES * PAGE_BLOCKS)
        sum_page(flat, fours, at, sums)
        largest_of_page(sums, 0, finer, block_bounds, at, upper_bounds, at // SUPERBLOCK_BLOCKS)
        block_bounds[at : at + PAGE_BLOCKS] = 0  # while it is cached
    find_last_upper_bounds(maxima, terms, block_bounds, upper_bounds)
    block_bounds[whole:] = 0
    return largest(upper_bounds)


@kernel
def find_last_upper_bounds(maxima, terms, block_bounds, upper_bounds):
    """Set the bounds of those superblocks, fewer than four, that are no whole page. See `find_upper_bounds`."""
    rows, coarse, finer = terms.rows, terms.coarse, np.uint32(terms.finer)
    for s in range(upper_bounds.size - upper_bounds.size % PAGE_SUPERBLOCKS, upper_bounds.size):
        upper_bound = np.uint32(0)
        for b in range(s * SUPERBLOCK_BLOCKS, (s + 1) * SUPERBLOCK_BLOCKS):
            total = np.uint32(0)
            for i in range(rows.size):
                total = np.uint32(total + np.uint32(coarse[i]) * np.uint32(maxima[rows[i], b]))
            upper_bound = max(upper_bound, np.uint32(np.uint32(total << finer) + block_bounds[b]))
        upper_bounds[s] = upper_bound


@kernel
def find_upper_bounds_of_pages(maxima, terms, block_bounds, upper_bounds, sums, pages):
    """Set the bounds of some pages' superblocks, as `find_upper_bounds` does those of all; block_bounds stay.

    pages: uint32, ascending.
    """
    n_blocks = maxima.shape[1]
    flat = maxima.reshape(maxima.size)
    n = pages.size
    while n > 0 and np.int64(pages[n - 1]) >= n_blocks // PAGE_BLOCKS:
        find_last_upper_bounds(maxima, terms, block_bounds, upper_bounds)
        n -= 1
    fours, finer = in_fours(terms, n_blocks), np.uint32(terms.finer)
    for i in range(min(AHEAD_PAGES, n)):
        prefetch_page(flat, fours, np.int64(pages[i]) * PAGE_BLOCKS)
    for i in range(n):
        at = np.int64(pages[i]) * PAGE_BLOCKS
        if i + AHEAD_PAGES < n:
            prefetch_page(flat, fours, np.int64(pages[i + AHEAD_PAGES]) * PAGE_BLOCKS)
        sum_page(flat, fours, at, sums)
        largest_of_page(sums, 0, finer, block_bounds, at, upper_bounds, at // SUPERBLOCK_BLOCKS)


@kernel
def find_coarse_upper_bounds(maxima, terms, block_bounds, has_rare, upper_bounds, sums):
    """Set bounds that are at least those of `find_upper_bounds`, from a sixteenth of the maxima; return the largest.

    maxima: uint8 (n_frequent, n_superblocks), of superblocks. block_bounds stay; has_rare: whether any isn't zero.
    For the others see `find_upper_bounds`.
    """
    n_superblocks = upper_bounds.size
    rows, coarse, finer = terms.rows, terms.coarse, np.uint32(terms.finer)
    flat = maxima.reshape(maxima.size)
    fours = in_fours(terms, n_superblocks)
    whole = n_superblocks - n_superblocks % PAGE_BLOCKS
    prefetch_first_pages(flat, fours, whole)
    if has_rare:
        for s in range(0, n_superblocks - n_superblocks % PAGE_SUPERBLOCKS, PAGE_SUPERBLOCKS):
            largest_of_four(block_bounds, s * SUPERBLOCK_BLOCKS, upper_bounds, s)
        for s in range(n_superblocks - n_superblocks % PAGE_SUPERBLOCKS, n_superblocks):
            upper_bounds[s] = largest(block_bounds[s * SUPERBLOCK_BLOCKS : (s + 1) * SUPERBLOCK_BLOCKS])
    else:
        upper_bounds[:] = 0
    for at in range(0, whole, PAGE_BLOCKS):
        if at + AHEAD_PAGES * PAGE_BLOCKS < whole:
            prefetch_page(flat, fours, at + AHEAD_PAGES * PAGE_BLOCKS)
        sum_page(flat, fours, at, sums)
        add_in_order(sums, 0, finer, upper_bounds, at)
    for s in range(whole, n_superblocks):
        total = np.uint32(0)
        for i in range(rows.size):
            total = np.uint32(total + np.uint32(coarse[i]) * np.uint32(maxima[rows[i], s]))
        upper_bounds[s] += np.uint32(total << finer)
    return largest(upper_bounds)


@kernel
def forbid(upper_bounds, allowed):
    """Set the bounds of superblocks without an allowed document to zero; return the largest of all.

    allowed: see `topk.Admission`; empty: every document.
    """
    for s in range(allowed.size):
        if allowed[s] == 0:
            upper_bounds[s] = 0
    return largest(upper_bounds)


@kernel
def largest(numbers):
    """Return the largest of uint32, 0 of none."""
    top = np.uint32(0)
    for number in numbers:
        top = number if number > top else top
    return top
