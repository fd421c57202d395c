"""Exhaustive scoring alone: pages of a frequent term, windows, groups that are skipped whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import (
    LARGEST_WEIGHT_SUM,
    UNCOMPILED,
    GuardedScratch,
    admit,
    draw_case,
    hits,
    invert,
    property_cases,
    seeds,
    sizes,
)
from kernel_oracle import posting_list, search_plain

from lsr.kernels.geometry import PAGE
from lsr.kernels.traversals.exhaustive import GROUP, WINDOW, add_frequent, search_exhaustive


@property_cases(4)
@given(seed=seeds, n_docs=sizes, weight=st.sampled_from((0, 1, 1000, LARGEST_WEIGHT_SUM)))
def test_a_frequent_term_is_added_window_by_window(seed: int, n_docs: int, weight: int) -> None:
    """Windows here are of any number of pages, and hold garbage that only grows by the term's impacts."""
    postings, _ = draw_case(seed, n_docs)
    rng = np.random.default_rng(seed)
    width = PAGE * int(rng.integers(1, 6))
    before = rng.integers(0, 2**32 - 255 * weight, width).astype(np.uint32)
    for term in np.flatnonzero(postings.row >= 0)[:3].tolist():
        held = np.zeros(n_docs, np.int64)
        doc_ords, impacts = posting_list(postings, term)
        held[doc_ords] = impacts
        for first in range(0, n_docs, width):
            end = min(first + width, n_docs)
            scores = before.copy()
            add_frequent(postings, postings.row[term], np.uint32(weight), first, end, scores)
            assert (scores - before)[: end - first].tolist() == (weight * held[first:end]).tolist()
            assert np.array_equal(scores[end - first :], before[end - first :])


def search(matrix: np.ndarray, terms: list[int], k: int, initial_threshold: int = 1) -> list[tuple[int, int]]:
    """Search a matrix with equal weights; assert that the plain twin agrees."""
    postings = invert(matrix)
    query = np.array(terms, np.int64), np.full(len(terms), 2, np.uint32)
    scratch = GuardedScratch(0, 0)
    heap, plain_heap = np.zeros(k, np.uint64), np.zeros(k, np.uint64)
    admission = admit(initial_threshold=initial_threshold)
    search_exhaustive(postings, *query, admission, heap, scratch.arrays)
    scratch.check()
    search_plain(postings, *query, admission, plain_heap)
    assert hits(heap) == hits(plain_heap)
    return hits(heap)


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
def test_terms_that_stand_in_one_window_only() -> None:
    """A rare term's cursor must neither stick before its window nor lose its place after."""
    matrix = np.zeros((3 * WINDOW + 5, 5), np.uint8)
    matrix[:100, 0] = 1
    matrix[WINDOW : WINDOW + 100, 1] = 2
    matrix[-3:, 2] = 3
    matrix[[WINDOW - 1, WINDOW, 2 * WINDOW - 1, 2 * WINDOW], 3] = 4
    matrix[[0, len(matrix) - 1], 4] = 5
    found = search(matrix, [3, 1, 4, 0, 2], k=300)
    assert found[:4] == [(16, len(matrix) - 1), (12, 0), (12, WINDOW), (8, WINDOW - 1)]
    assert len(found) == len(matrix[matrix.any(axis=1)])


def test_groups_below_the_threshold_leave_no_scores_behind() -> None:
    """Documents of the first group fill the heap; the next group's scores are wiped without an offer."""
    matrix = np.ones((3 * GROUP, 1), np.uint8)
    matrix[:GROUP] = 9
    assert search(matrix, [0], k=5) == [(18, d) for d in range(5)]


def test_groups_below_the_initial_threshold_leave_no_scores_behind() -> None:
    matrix = np.ones((3 * GROUP, 1), np.uint8)
    matrix[-1] = 9
    assert search(matrix, [0], k=5, initial_threshold=18) == [(18, 3 * GROUP - 1)]
    assert search(matrix, [0], k=5, initial_threshold=19) == []
