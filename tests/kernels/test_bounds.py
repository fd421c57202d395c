"""Bounds of superblocks are the sums of weighted largest impacts, to the bit; no document scores more."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import draw_case, draw_query, invert, property_cases, seeds, sizes
from kernel_oracle import split_terms_plain

from lsr.kernels.bounds import add_four, add_frequent, add_one, add_rare, split_terms


@property_cases(4)
@given(seed=seeds, n_docs=sizes)
def test_terms_split_into_frequent_and_rare(seed: int, n_docs: int) -> None:
    postings, (terms, weights) = draw_case(seed, n_docs)
    split = split_terms(postings, terms, weights)
    plain = split_terms_plain(postings, terms.tolist(), weights.tolist())
    assert [array.tolist() for array in split] == list(plain)
    assert [array.dtype for array in split] == [np.int64, np.uint32, np.int64, np.uint32]


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
    matrix[[0, 1, 399], 1] = [2, 1, 3]
    bounds, places = np.full(7, 5, np.uint32), np.full((1, 7), 99, np.uint32)
    add_rare(invert(matrix), np.array([1]), np.array([10], np.uint32), bounds, places)
    assert bounds.tolist() == [25, 5, 5, 5, 5, 5, 35]
    assert places.tolist() == [[0, 99, 99, 99, 99, 99, 2]]
