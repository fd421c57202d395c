"""Two levels of bounds, of superblocks and of a page's blocks: both skip, safely."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import (
    UNCOMPILED,
    Collection,
    GuardedScratch,
    admit,
    bitmap,
    count_rare,
    draw_case,
    draw_query,
    hits,
    invert,
    property_cases,
    seeds,
    sizes,
)
from kernel_oracle import coarse_upper_bounds_plain, upper_bounds_plain

from lsr.kernels.build.layout import Postings
from lsr.kernels.geometry import BLOCK, PAGE_SUPERBLOCKS, SUPERBLOCK
from lsr.kernels.traversals.query_terms import split_terms
from lsr.kernels.traversals.superblock import search_superblock, superblocks_in_pages, upper_bound_of_rank
from lsr.kernels.traversals.superblock_bounds import (
    AHEAD_PAGES,
    BoundTerms,
    add_rare_to_blocks,
    find_coarse_upper_bounds,
    find_upper_bounds_of_pages,
    steps_of,
)
from lsr.kernels.traversals.topk import NO_FILTER


def bound_coarsely(postings: Postings, terms: np.ndarray, weights: np.ndarray) -> tuple[GuardedScratch, int, tuple]:
    """Return scratch with the coarse upper bounds of a query, the largest, and what bounding its blocks takes, too."""
    scratch = GuardedScratch(-(-len(postings.insertion) // SUPERBLOCK), count_rare(postings, terms))
    own = scratch.arrays
    query = split_terms(postings, terms, weights)
    steps = steps_of(query.row_weights, query.rare_weights)
    add_rare_to_blocks(postings, query.rare, steps.rare, own.block_bounds, own.places)
    level = BoundTerms(query.rows, steps.coarse, steps.finer), own.block_bounds
    has_rare = len(query.rare) > 0
    top = find_coarse_upper_bounds(postings.superblock_max, *level, has_rare, own.upper_bounds, own.sums)
    return scratch, int(top), level


@property_cases(1)
@given(seed=seeds, n_docs=sizes, share=st.sampled_from((0.0, 0.1, 0.5, 1.0)))
def test_both_levels_equal_their_plain_twins(seed: int, n_docs: int, share: float) -> None:
    """And the coarse one is never the smaller; pages that weren't asked for keep their coarse upper bounds."""
    postings, (terms, weights) = draw_case(seed, n_docs)
    scratch, top, level = bound_coarsely(postings, terms, weights)
    upper_bounds = scratch.arrays.upper_bounds
    of_superblocks = coarse_upper_bounds_plain(postings, terms.tolist(), weights.tolist())
    assert upper_bounds.tolist() == of_superblocks
    assert top == max(of_superblocks, default=0)
    of_blocks = upper_bounds_plain(postings, terms.tolist(), weights.tolist())[0]
    assert all(a >= b for a, b in zip(of_superblocks, of_blocks, strict=True))
    n_pages = -(-len(upper_bounds) // PAGE_SUPERBLOCKS)
    asked = np.flatnonzero(np.random.default_rng(seed).random(n_pages) < share)
    find_upper_bounds_of_pages(postings.block_max, *level, upper_bounds, scratch.arrays.sums, asked.astype(np.uint32))
    for s, upper_bound in enumerate(upper_bounds.tolist()):
        assert upper_bound == (of_blocks if s // PAGE_SUPERBLOCKS in asked else of_superblocks)[s]
    scratch.arrays.block_bounds[:] = 0
    scratch.check()


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_more_pages_are_bounded_than_are_prefetched(share: float) -> None:
    n_docs = 24 * AHEAD_PAGES * PAGE_SUPERBLOCKS * SUPERBLOCK + 100
    postings = invert(Collection(seed=9, n_docs=n_docs, n_terms=12).matrix())
    terms, weights = draw_query(9, 12, 12, "any")
    scratch, _, level = bound_coarsely(postings, terms, weights)
    upper_bounds = scratch.arrays.upper_bounds
    before, expected = upper_bounds.tolist(), upper_bounds_plain(postings, terms.tolist(), weights.tolist())[0]
    pages = np.flatnonzero(np.random.default_rng(3).random(-(-len(upper_bounds) // PAGE_SUPERBLOCKS)) < share)
    find_upper_bounds_of_pages(postings.block_max, *level, upper_bounds, scratch.arrays.sums, pages.astype(np.uint32))
    for s, upper_bound in enumerate(upper_bounds.tolist()):
        assert upper_bound == (expected if s // PAGE_SUPERBLOCKS in pages else before)[s]


@property_cases(2)
@given(
    seed=st.integers(0, 2**16),
    n_bounds=st.one_of(st.integers(1, 300), st.just(5000)),
    highest=st.sampled_from((1, 5, 100_000, 2**32 - 1)),
    n=st.integers(1, 400),
)
def test_about_so_many_bounds_reach_that_of_a_rank(seed: int, n_bounds: int, highest: int, n: int) -> None:
    """At least n, or all those at the threshold; and no more than n above the bucket of the bound."""
    upper_bounds = np.random.default_rng(seed).integers(0, highest, n_bounds, endpoint=True).astype(np.uint32)
    top = int(upper_bounds.max())
    threshold = 1 if top else 0
    least = int(upper_bound_of_rank(upper_bounds, n, np.uint64(threshold), np.uint32(top)))
    assert threshold <= least <= top
    if n_bounds < 4096:
        assert (upper_bounds >= least).sum() >= min(n, (upper_bounds >= threshold).sum())
        width = 1
        while (top - threshold) // width >= min(1024, n_bounds):
            width *= 2
        assert (upper_bounds >= least + width).sum() < n


def test_superblocks_of_pages_are_listed_with_their_largest_bound() -> None:
    upper_bounds, listed = np.array([5, 1, 7, 0, 9, 9, 2, 6, 8, 3], np.uint32), np.full(10, 77, np.uint32)
    n, top = superblocks_in_pages(upper_bounds, np.array([0, 2], np.uint32), np.uint64(3), listed)
    assert (listed[:n].tolist(), top) == ([0, 2, 8, 9], 8)
    assert superblocks_in_pages(upper_bounds, np.array([1], np.uint32), np.uint64(10), listed)[0] == 0


def search(
    matrix: np.ndarray, k: int, initial_threshold: int = 1, allowed: np.ndarray = NO_FILTER
) -> tuple[list[tuple[int, int]], list[int]]:
    """Search a matrix by all its terms with weight 1; return the hits, and what was added to the visits."""
    postings = invert(matrix)
    terms = np.arange(matrix.shape[1])
    scratch = GuardedScratch(-(-len(matrix) // SUPERBLOCK), count_rare(postings, terms))
    heap, visits = np.zeros(k, np.uint64), np.array([1000, 2000])
    weights = np.ones(len(terms), np.uint32)
    admission = admit(0, allowed, initial_threshold)
    search_superblock(postings, terms, weights, admission, heap, scratch.arrays, visits)
    scratch.check()
    return hits(heap), (visits - [1000, 2000]).tolist()


def two_terms_apart() -> np.ndarray:
    """Make a page of superblocks of equal bounds, both terms in one block of the second; and an empty page."""
    matrix = np.zeros((2 * PAGE_SUPERBLOCKS * SUPERBLOCK, 2), np.uint8)
    matrix[[0, 2 * SUPERBLOCK], 0] = 9
    matrix[[BLOCK, 2 * SUPERBLOCK + BLOCK], 1] = 9
    matrix[SUPERBLOCK] = 9
    return matrix


def test_superblocks_whose_blocks_leave_no_chance_are_not_scored() -> None:
    assert search(two_terms_apart(), k=1, initial_threshold=18) == ([(18, SUPERBLOCK)], [4, 1])


def test_pages_below_the_initial_threshold_are_not_looked_at() -> None:
    assert search(two_terms_apart(), k=1, initial_threshold=19) == ([], [0, 0])


def test_superblocks_without_an_allowed_document_are_not_scored() -> None:
    allowed = np.zeros(2 * PAGE_SUPERBLOCKS * SUPERBLOCK, bool)
    allowed[[0, 2 * SUPERBLOCK + BLOCK]] = True
    found = [(9, 0), (9, 2 * SUPERBLOCK + BLOCK)]
    assert search(two_terms_apart(), k=5, allowed=bitmap(allowed)) == (found, [4, 2])


def test_pages_without_an_allowed_document_are_not_looked_at() -> None:
    allowed = np.zeros(2 * PAGE_SUPERBLOCKS * SUPERBLOCK, bool)
    allowed[-1] = True
    assert search(two_terms_apart(), k=5, allowed=bitmap(allowed)) == ([], [0, 0])
