"""Bounds are the sums of weighted block maxima, to the bit; no document of a block scores more."""

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
    invert,
    property_cases,
    seeds,
    sizes,
)
from kernel_oracle import bounds_plain, runs_plain, scores_of, split_terms_plain

from lsr.kernels.bounds import (
    RARE_BLOCK,
    add_four,
    add_frequent,
    add_one,
    add_rare,
    largest_of_superblocks,
    split_terms,
)
from lsr.kernels.layout import BLOCK, BLOCKS, SUPERBLOCK, Postings


def bound_all(postings: Postings, terms: np.ndarray, weights: np.ndarray) -> tuple[GuardedScratch, tuple]:
    """Return scratch with the bounds of a query, and its split terms."""
    n_superblocks = -(-len(postings.insertion) // SUPERBLOCK)
    scratch = GuardedScratch(n_superblocks, count_rare(postings, terms))
    bounds = scratch.arrays.bounds
    bounds[:] = 0
    split = split_terms(postings, terms, weights)
    add_rare(postings, split[2], split[3], RARE_BLOCK, bounds, scratch.arrays.places)
    add_frequent(postings.block_max, split[0], split[1], bounds)
    scratch.check()
    return scratch, split


@property_cases(4)
@given(seed=seeds, n_docs=sizes)
def test_terms_split_into_frequent_and_rare(seed: int, n_docs: int) -> None:
    postings, (terms, weights) = draw_case(seed, n_docs)
    split = split_terms(postings, terms, weights)
    plain = split_terms_plain(postings, terms.tolist(), weights.tolist())
    assert [array.tolist() for array in split] == list(plain)
    assert [array.dtype for array in split] == [np.int64, np.uint32, np.int64, np.uint32]


@property_cases(2)
@given(seed=seeds, n_docs=sizes)
def test_bounds_equal_the_plain_twin_and_bound(seed: int, n_docs: int) -> None:
    postings, (terms, weights) = draw_case(seed, n_docs)
    bounds = bound_all(postings, terms, weights)[0].arrays.bounds.tolist()
    assert bounds == bounds_plain(postings, terms.tolist(), weights.tolist())
    scores = scores_of(postings, terms.tolist(), weights.tolist())
    assert all(score <= bounds[doc_ord // BLOCK] for doc_ord, score in enumerate(scores))


@property_cases(2)
@given(seed=seeds, n_docs=sizes)
def test_the_start_of_every_run_of_a_rare_term_is_noted(seed: int, n_docs: int) -> None:
    postings, (terms, weights) = draw_case(seed, n_docs)
    places = bound_all(postings, terms, weights)[0].arrays.places
    for i, superblock, start in runs_plain(postings, terms.tolist()):
        assert places[i, superblock] == start


def test_neighbours_of_a_rare_term_count_by_their_largest() -> None:
    matrix = np.zeros((400, 2), np.uint8)
    matrix[[0, 1, 3, 68, 69, 70], 1] = [2, 9, 5, 7, 7, 1]
    bounds = bound_all(invert(matrix), np.array([1]), np.array([10], np.uint32))[0].arrays.bounds
    assert {block: bounds[block] for block in np.flatnonzero(bounds).tolist()} == {0: 90, 17: 70}


@property_cases(4)
@given(seed=st.integers(0, 2**16), n_superblocks=st.integers(0, 80), highest=st.sampled_from((0, 3, 2**32 - 1)))
def test_peaks_are_the_largest_bounds(seed: int, n_superblocks: int, highest: int) -> None:
    rng = np.random.default_rng(seed)
    bounds = rng.integers(0, highest, n_superblocks * BLOCKS, endpoint=True).astype(np.uint32)
    peaks = np.full(n_superblocks, 77, np.uint32)
    top = largest_of_superblocks(bounds, peaks)
    expected = [max(bounds[s * BLOCKS : (s + 1) * BLOCKS].tolist()) for s in range(n_superblocks)]
    assert peaks.tolist() == expected
    assert top == max(expected, default=0)


def draw_rows(seed: int, n_rows: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Draw rows of maxima, their weights, bounds with just enough room for them, and what they must become."""
    rng = np.random.default_rng([seed, n_rows, size])
    rows = rng.integers(0, 256, (n_rows, size)).astype(np.uint8)
    rows.flags.writeable = False
    weights = draw_query(seed, n_rows, n_rows, "largest")[1] // np.uint32(2)
    room = 2**32 - 1 - 255 * int(weights.sum(dtype=np.uint64))
    bounds = rng.integers(0, room, size, endpoint=True).astype(np.uint32)
    return rows, weights, bounds, (bounds.astype(np.uint64) + weights.astype(np.uint64) @ rows).tolist()


@property_cases(8)
@given(seed=st.integers(0, 2**16), size=st.integers(0, 100))
def test_four_rows_are_added_at_once_or_one_alone(seed: int, size: int) -> None:
    rows, weights, bounds, expected = draw_rows(seed, 4, size)
    add_four(bounds, *rows, *weights)
    assert bounds.tolist() == expected
    rows, weights, bounds, expected = draw_rows(seed, 1, size)
    add_one(bounds, rows[0], weights[0])
    assert bounds.tolist() == expected


@property_cases(4)
@given(
    seed=st.integers(0, 2**16),
    n_rows=st.integers(0, 13),
    size=st.sampled_from((0, 1, 16, 4095, 4096, 4097, 8192, 9000)),
)
def test_rows_are_added_to_what_is_there(seed: int, n_rows: int, size: int) -> None:
    """Any number of rows, in fours and one by one, a window of bounds at a time; in any order, rows left out."""
    maxima, weights, bounds, expected = draw_rows(seed, n_rows, size)
    order = np.random.default_rng(seed).permutation(n_rows)
    padded = np.full((2 * n_rows, size), 255, np.uint8)
    padded[::2] = maxima
    add_frequent(padded, 2 * order, weights[order], bounds)
    assert bounds.tolist() == expected


def test_rare_terms_are_added_to_what_is_there() -> None:
    matrix = np.zeros((400, 2), np.uint8)
    matrix[[0, 399], 1] = [2, 3]
    bounds, places = np.full(7 * BLOCKS, 5, np.uint32), np.full((1, 7), 99, np.uint32)
    add_rare(invert(matrix), np.array([1]), np.array([10], np.uint32), RARE_BLOCK, bounds, places)
    assert {b: bounds[b] for b in np.flatnonzero(bounds != 5).tolist()} == {0: 25, 99: 35}
    assert places.tolist() == [[0, 99, 99, 99, 99, 99, 1]]


@pytest.mark.parametrize("n_docs", [1, 64, 65, 257])
def test_the_largest_bound_fits(n_docs: int) -> None:
    matrix = np.full((n_docs, 5), 255, np.uint8)
    terms, weights = draw_query(1, 5, 5, "largest")
    assert int(weights.sum(dtype=np.uint64)) == LARGEST_WEIGHT_SUM
    scratch, _ = bound_all(invert(matrix), terms, weights)
    n_blocks = -(-n_docs // BLOCK)
    assert (scratch.arrays.bounds[:n_blocks] == 2**32 - 1).all()
    assert not scratch.arrays.bounds[n_blocks:].any()


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
def test_bounds_beyond_one_window_of_them() -> None:
    """More than 4,096 blocks, several windows and a partial last one."""
    matrix = Collection(seed=9, n_docs=40_000, n_terms=12).matrix()
    postings = invert(matrix)
    terms, weights = draw_query(9, 12, 12, "any")
    bounds = bound_all(postings, terms, weights)[0].arrays.bounds
    assert bounds.tolist() == bounds_plain(postings, terms.tolist(), weights.tolist())


def test_a_query_without_terms_bounds_at_zero() -> None:
    postings = invert(np.full((100, 2), 9, np.uint8))
    terms, weights = draw_query(0, 2, 0, "equal")
    assert not bound_all(postings, terms, weights)[0].arrays.bounds.any()
