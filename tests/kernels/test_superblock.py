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
    from_python,
    hits,
    invert,
    property_cases,
    seeds,
    sizes,
)
from kernel_oracle import coarse_upper_bounds_plain, upper_bounds_plain

from lsr.kernels.build.layout import Postings
from lsr.kernels.geometry import BLOCK, PAGE_SUPERBLOCKS, SUPERBLOCK, SUPERBLOCK_BLOCKS
from lsr.kernels.simd.lower_bounds import lower_bounds, lower_bounds_plainly
from lsr.kernels.traversals.query_terms import heaviest_first, split_terms
from lsr.kernels.traversals.refinement import refine_pages
from lsr.kernels.traversals.superblock import (
    bound_coarsely,
    search_superblock,
    superblocks_in_pages,
    upper_bound_of_rank,
)
from lsr.kernels.traversals.superblock_bounds import PAGES_AT_ONCE
from lsr.kernels.traversals.topk import NO_FILTER


class Bounded:
    """Scratch with the coarse upper bounds of a query, and what lowers them."""

    def __init__(self, postings: Postings, terms: np.ndarray, weights: np.ndarray) -> None:
        self.postings, self.scratch = postings, scratch_of(postings, terms)
        self.query = split_terms(postings, terms, weights)
        heaviest_first(self.query.rows, self.query.row_weights)
        n_rows = len(self.query.rows)
        self.top, self.bounding, _ = bound_coarsely(postings, self.query, n_rows, self.scratch.arrays, None)
        self.upper_bounds = self.scratch.arrays.upper_bounds[: -(-len(postings.insertion) // SUPERBLOCK)]

    def refine(self, pages: np.ndarray, threshold: int) -> list[int]:
        """Refine some pages; return all bounds."""
        own = self.scratch.arrays
        bounds = own.block_bounds[: len(self.upper_bounds) * SUPERBLOCK_BLOCKS]
        call = self.postings, self.bounding, bounds, self.upper_bounds, own.sums
        refine_pages(*call, np.uint64(threshold), pages.astype(np.uint32))
        bounds[:] = 0
        self.scratch.check()
        return self.upper_bounds.tolist()


def scratch_of(postings: Postings, terms: np.ndarray) -> GuardedScratch:
    return GuardedScratch(-(-len(postings.insertion) // SUPERBLOCK), count_rare(postings, terms))


def check_refined(after: list[int], before: list[int], of_blocks: list[int], asked: set[int], threshold: int) -> None:
    """Hold refined bounds against those before and those of blocks, both by the plain twins."""
    for s, bound in enumerate(after):
        if s // PAGE_SUPERBLOCKS not in asked or before[s] < threshold:
            assert bound == before[s]  # neither raised nor lowered
        elif of_blocks[s] >= threshold:
            assert bound == of_blocks[s]  # what is scored is scored by its true bound
        else:
            assert of_blocks[s] <= bound < threshold


@property_cases(1)
@given(seed=seeds, n_docs=sizes, share=st.sampled_from((0.1, 0.5, 1.0)), height=st.sampled_from((0.0, 0.5, 0.9, 1.1)))
def test_both_levels_equal_their_plain_twins(seed: int, n_docs: int, share: float, height: float) -> None:
    """And the coarse one is never the smaller; whatever falls below the threshold may end on the way."""
    postings, (terms, weights) = draw_case(seed, n_docs)
    bounded = Bounded(postings, terms, weights)
    before = bounded.upper_bounds.tolist()
    assert before == coarse_upper_bounds_plain(postings, terms.tolist(), weights.tolist())
    assert bounded.top == max(before, default=0)
    of_blocks = upper_bounds_plain(postings, terms.tolist(), weights.tolist())[0]
    assert all(a >= b for a, b in zip(before, of_blocks, strict=True))
    n_pages = -(-len(before) // PAGE_SUPERBLOCKS)
    asked = np.flatnonzero(np.random.default_rng(seed).random(n_pages) < share)
    threshold = max(int(height * max(of_blocks, default=0)), 1)
    check_refined(bounded.refine(asked, threshold), before, of_blocks, set(asked.tolist()), threshold)


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_several_windows_of_pages_are_refined(share: float) -> None:
    n_docs = 2 * PAGES_AT_ONCE * PAGE_SUPERBLOCKS * SUPERBLOCK + 100
    postings = invert(Collection(seed=9, n_docs=n_docs, n_terms=12).matrix())
    terms, weights = draw_query(9, 12, 12, "any")
    bounded = Bounded(postings, terms, weights)
    before = bounded.upper_bounds.tolist()
    of_blocks = upper_bounds_plain(postings, terms.tolist(), weights.tolist())[0]
    pages = np.flatnonzero(np.random.default_rng(3).random(-(-len(before) // PAGE_SUPERBLOCKS)) < share)
    for threshold in (int(np.quantile(of_blocks, 0.99)), 1):
        fresh = Bounded(postings, terms, weights)
        check_refined(fresh.refine(pages, threshold), before, of_blocks, set(pages.tolist()), threshold)


LOWER_BOUNDS = from_python(lower_bounds, 13)


@property_cases(4)
@given(seed=st.integers(0, 2**16), finer=st.integers(0, 8), threshold=st.sampled_from((1, 2**30, 2**31, 2**32 - 1)))
def test_vector_instructions_lower_bounds_as_plain_loops_do(seed: int, finer: int, threshold: int) -> None:
    """The same function twice, if the processor has no such instructions. What wraps around must do so in both."""
    rng = np.random.default_rng(seed)
    maxima = rng.integers(0, 256, 64).astype(np.uint8)
    rows, four = rng.integers(0, 60, 4).tolist(), np.uint32(int(rng.integers(0, 2**32)) & 0x7F7F7F7F)
    largest, rest, bounds = (rng.integers(0, 2**32, 9).astype(np.uint32) for _ in range(3))
    found = []
    for lower in (LOWER_BOUNDS, lower_bounds_plainly):
        own_rest, own = rest.copy(), bounds.copy()
        with np.errstate(over="ignore"):
            is_left = lower(own_rest, 3, maxima, *rows, four, np.uint32(finer), largest, own, 2, np.uint32(threshold))
        found.append((bool(is_left), own_rest.tolist(), own.tolist()))
    assert found[0] == found[1]


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
    scratch = scratch_of(postings, terms)
    heap, visits = np.zeros(k, np.uint64), np.array([1000, 2000])
    weights = np.ones(len(terms), np.uint32)
    admission = admit(0, allowed, initial_threshold)
    search_superblock(postings, terms, weights, admission, heap, scratch.arrays, visits)
    scratch.check()
    return hits(heap), (visits - [1000, 2000]).tolist()


def two_terms_apart() -> np.ndarray:
    """Make a page of superblocks of equal bounds, both terms in one block of the second; and an empty page."""
    matrix = np.zeros((2 * PAGE_SUPERBLOCKS * SUPERBLOCK, 2), np.uint8)
    for block, terms in ((0, [0]), (BLOCK, [1]), (SUPERBLOCK, [0, 1])):
        matrix[block : block + BLOCK, terms] = 9
    matrix[2 * SUPERBLOCK : 3 * SUPERBLOCK] = matrix[:SUPERBLOCK]
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
