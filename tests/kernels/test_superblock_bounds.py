"""A superblock's upper bound is that of its largest block, in steps: never below a score, and never overflowing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import (
    LARGEST_WEIGHT_SUM,
    UNCOMPILED,
    Collection,
    GuardedScratch,
    count_rare,
    draw_case,
    draw_query,
    from_python,
    invert,
    property_cases,
    seeds,
    sizes,
)
from kernel_oracle import rare_in_blocks_plain, runs_plain, scores_of, steps_plain, upper_bounds_plain

from lsr.kernels.build.layout import Postings
from lsr.kernels.geometry import BLOCK, PAGE_BLOCKS, SUPERBLOCK, SUPERBLOCK_BLOCKS
from lsr.kernels.simd.dot_products import (
    add_dots,
    add_dots_plainly,
    add_in_order,
    add_in_order_plainly,
    largest_of_four,
    largest_of_four_plainly,
    largest_of_page,
    largest_of_page_plainly,
)
from lsr.kernels.traversals.blockmax import bound_superblocks
from lsr.kernels.traversals.query_terms import split_terms
from lsr.kernels.traversals.superblock_bounds import (
    STEPS_IN_A_BLOCK,
    BoundTerms,
    Scale,
    add_rare_to_blocks,
    as_steps,
    find_upper_bounds,
    steps_of,
)

LARGEST_OF_PAGE, LARGEST_OF_FOUR = from_python(largest_of_page, 7), from_python(largest_of_four, 4)


def bound_all(postings: Postings, terms: np.ndarray, weights: np.ndarray) -> tuple[GuardedScratch, int, int, int]:
    """Return scratch with the upper bounds of a query; the largest of them, fine and unit."""
    n_superblocks = -(-len(postings.insertion) // SUPERBLOCK)
    scratch = GuardedScratch(n_superblocks, count_rare(postings, terms))
    top, scale = bound_superblocks(postings, split_terms(postings, terms, weights), scratch.arrays)
    scratch.check()
    return scratch, int(top), int(scale.fine), int(scale.unit)


@property_cases(1)
@given(seed=seeds, n_docs=sizes)
def test_upper_bounds_equal_the_plain_twin_and_bound_every_score(seed: int, n_docs: int) -> None:
    postings, (terms, weights) = draw_case(seed, n_docs)
    scratch, top, fine, unit = bound_all(postings, terms, weights)
    upper_bounds = scratch.arrays.upper_bounds.tolist()
    assert (upper_bounds, fine, unit) == upper_bounds_plain(postings, terms.tolist(), weights.tolist())
    assert top == max(upper_bounds, default=0)
    for doc_ord, score in enumerate(scores_of(postings, terms.tolist(), weights.tolist())):
        assert score * fine // unit <= upper_bounds[doc_ord // SUPERBLOCK]
        assert as_steps(np.uint64(score), Scale(np.uint64(fine), np.uint64(unit))) == score * fine // unit


@property_cases(2)
@given(seed=seeds, n_docs=sizes)
def test_the_start_of_every_run_of_a_rare_term_is_noted(seed: int, n_docs: int) -> None:
    postings, (terms, weights) = draw_case(seed, n_docs)
    places = bound_all(postings, terms, weights)[0].arrays.places
    for i, superblock, start in runs_plain(postings, terms.tolist()):
        assert places[i, superblock] == start


@property_cases(4)
@given(
    n_frequent=st.sampled_from((0, 1, 2, 5, 40, 600)),
    n_rare=st.sampled_from((0, 1, 2, 5, 40, 600, 20_000)),
    weights=st.sampled_from(("any", "equal", "largest")),
    ratio=st.sampled_from((1, 2, 1000, 2**22)),
    seed=st.integers(0, 99),
)
def test_steps_are_as_fine_as_fits(n_frequent: int, n_rare: int, weights: str, ratio: int, seed: int) -> None:
    """Also where the rare terms weigh far more than the frequent ones, whose heaviest is the unit at first."""
    drawn = draw_query(seed, n_frequent + n_rare, n_frequent + n_rare, weights)[1]
    frequent, rare = drawn[:n_frequent] // np.uint32(ratio), drawn[n_frequent:]
    coarse, steps, finer, unit = steps_of(frequent, rare)
    assert (coarse.tolist(), finer, steps.tolist(), unit) == steps_plain(frequent.tolist(), rare.tolist())
    assert coarse.max(initial=0) <= 127
    most = 255 * (int(coarse.sum(dtype=np.int64)) << finer) + STEPS_IN_A_BLOCK * int(steps.sum(dtype=np.int64))
    assert most < 2**32


@pytest.mark.parametrize(
    ("impacts", "added"), [((5,), 5), ((2, 9), 9), ((9, 2), 9), ((7, 7), 7), ((9, 2, 5), 12), ((255, 1, 255, 1), 509)]
)
def test_neighbours_of_a_rare_term_count_once(impacts: tuple[int, ...], added: int) -> None:
    """By the largest of one or two; of more, by the last and every fall before it."""
    matrix = np.zeros((400, 2), np.uint8)
    matrix[BLOCK * 3 : BLOCK * 3 + len(impacts), 1] = impacts
    postings = invert(matrix)
    bounds, places = np.zeros(7 * SUPERBLOCK_BLOCKS, np.uint32), np.zeros((1, 7), np.uint32)
    bounds[3] = 4
    add_rare_to_blocks(postings, np.array([1]), np.array([10], np.uint32), bounds, places)
    assert {int(b): int(bounds[b]) for b in np.flatnonzero(bounds)} == {3: 4 + 10 * added}
    assert rare_in_blocks_plain(postings, 1)[3] == added


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
@pytest.mark.parametrize("n_docs", [16_383, 16_384, 16_385, 40_000])
def test_upper_bounds_of_more_pages_than_are_prefetched(n_docs: int) -> None:
    matrix = Collection(seed=9, n_docs=n_docs, n_terms=12).matrix()
    postings = invert(matrix)
    terms, weights = draw_query(9, 12, 12, "any")
    upper_bounds = bound_all(postings, terms, weights)[0].arrays.upper_bounds.tolist()
    assert upper_bounds == upper_bounds_plain(postings, terms.tolist(), weights.tolist())[0]


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
def test_a_rare_term_of_several_chunks() -> None:
    matrix = np.zeros((60_000, 2), np.uint8)
    rng = np.random.default_rng(3)
    matrix[rng.choice(60_000, 900, replace=False), 1] = rng.integers(1, 256, 900)
    postings = invert(matrix)
    bounds, places = np.zeros(938 * SUPERBLOCK_BLOCKS, np.uint32), np.zeros((1, 938), np.uint32)
    add_rare_to_blocks(postings, np.array([1]), np.array([3], np.uint32), bounds, places)
    assert bounds.tolist() == (3 * rare_in_blocks_plain(postings, 1)).tolist()
    for _, superblock, start in runs_plain(postings, [1]):
        assert places[0, superblock] == start


@pytest.mark.parametrize("n_docs", [1, 64, 65, 257])
def test_the_largest_weights_bound_without_overflow(n_docs: int) -> None:
    matrix = np.full((n_docs, 5), 255, np.uint8)
    terms, weights = draw_query(1, 5, 5, "largest")
    assert int(weights.sum(dtype=np.uint64)) == LARGEST_WEIGHT_SUM
    scratch, top, fine, unit = bound_all(invert(matrix), terms, weights)
    assert (scratch.arrays.upper_bounds == top).all()
    assert (2**32 - 1) * fine // unit <= top < 2**32


def test_a_query_without_terms_is_bounded_by_zero() -> None:
    postings = invert(np.full((100, 2), 9, np.uint8))
    assert not bound_all(postings, *draw_query(0, 2, 0, "equal"))[0].arrays.upper_bounds.any()


@property_cases(4)
@given(seed=st.integers(0, 2**16), n_pages=st.integers(1, 5), finer=st.integers(0, 8))
def test_vector_instructions_do_what_plain_loops_do(seed: int, n_pages: int, finer: int) -> None:
    """The same function twice, if the processor has no such instructions."""
    rng = np.random.default_rng(seed)
    maxima = rng.integers(0, 256, 8 * n_pages * PAGE_BLOCKS).astype(np.uint8)
    maxima.flags.writeable = False
    bounds = rng.integers(0, 2**30, n_pages * PAGE_BLOCKS).astype(np.uint32)
    found = []
    for add, largest, in_order in (
        (add_dots, LARGEST_OF_PAGE, add_in_order),
        (add_dots_plainly, largest_of_page_plainly, add_in_order_plainly),
    ):
        sums, upper_bounds = np.zeros(n_pages * PAGE_BLOCKS, np.uint32), np.full(4 * n_pages, 7, np.uint32)
        for turn in range(3):
            starts = np.random.default_rng([seed, turn]).integers(0, 7 * n_pages * PAGE_BLOCKS, 4)
            four = np.uint32(np.random.default_rng([seed, turn]).integers(0, 2**32) & 0x7F7F7F7F)
            for page in range(n_pages):
                at = page * PAGE_BLOCKS
                add(sums[at : at + PAGE_BLOCKS], maxima, *(int(start) + at for start in starts), four)
        for page in range(n_pages):
            largest(sums, page * PAGE_BLOCKS, np.uint32(finer), bounds, page * PAGE_BLOCKS, upper_bounds, 4 * page)
        ordered = np.arange(3 + n_pages * PAGE_BLOCKS, dtype=np.uint32)
        for page in range(n_pages):
            in_order(sums, page * PAGE_BLOCKS, np.uint32(finer), ordered, 3 + page * PAGE_BLOCKS)
        found.append((upper_bounds.tolist(), ordered.tolist()))
    assert found[0] == found[1]


@property_cases(8)
@given(seed=st.integers(0, 2**16), highest=st.sampled_from((1, 5, 2**32 - 1)))
def test_the_largest_of_four_superblocks(seed: int, highest: int) -> None:
    bounds = (
        np.random.default_rng(seed).integers(0, highest, 9 + 4 * SUPERBLOCK_BLOCKS, endpoint=True).astype(np.uint32)
    )
    expected = bounds[5 : 5 + 4 * SUPERBLOCK_BLOCKS].reshape(4, SUPERBLOCK_BLOCKS).max(axis=1).tolist()
    for largest in (LARGEST_OF_FOUR, largest_of_four_plainly):
        upper_bounds = np.full(7, 3, np.uint32)
        largest(bounds, 5, upper_bounds, 2)
        assert upper_bounds.tolist() == [3, 3, *expected, 3]


@property_cases(8)
@given(seed=st.integers(0, 2**16), n_superblocks=st.integers(0, 19), n_rows=st.integers(0, 9))
def test_upper_bounds_of_any_number_of_rows_and_superblocks(seed: int, n_superblocks: int, n_rows: int) -> None:
    rng = np.random.default_rng(seed)
    maxima = rng.integers(0, 256, (n_rows, n_superblocks * SUPERBLOCK_BLOCKS)).astype(np.uint8)
    coarse, rows = rng.integers(0, 128, n_rows).astype(np.uint8), rng.permutation(n_rows)
    bounds = rng.integers(0, 2**20, n_superblocks * SUPERBLOCK_BLOCKS).astype(np.uint32)
    expected = (coarse.astype(np.int64) @ maxima[rows].astype(np.int64) << 3) + bounds
    scratch = GuardedScratch(n_superblocks, 0)
    own = scratch.arrays
    top = find_upper_bounds(maxima, BoundTerms(rows, coarse, 3), bounds, own.upper_bounds, own.sums)
    scratch.check()
    assert not bounds.any()
    assert scratch.arrays.upper_bounds.tolist() == expected.reshape(-1, SUPERBLOCK_BLOCKS).max(axis=1).tolist()
    assert top == expected.max(initial=0)
