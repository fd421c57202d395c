"""Approximate search returns true scores, counts what it skips, and is exact if nothing is skipped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from kernel_cases import (
    Query,
    admit,
    bitmap,
    draw_any_query,
    draw_collection,
    hits,
    property_cases,
    scratch_for,
    seeds,
    segments_of,
    sizes,
)
from kernel_oracle import rank_by_matrix

from lsr.kernels.traversals.approximate import Limits, search_approximately
from lsr.kernels.traversals.query_terms import heaviest_first
from lsr.kernels.traversals.topk import NO_FILTER

NO_LIMIT = 2**62


def search(
    segments: tuple,
    query: Query,
    k: int,
    *,
    alpha: float = 1.0,
    budget: int = NO_LIMIT,
    cut: int = NO_LIMIT,
    allowed: np.ndarray | None = None,
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the hits, and what was bounded, scored and skipped."""
    heap, visits, scratch = np.zeros(k, np.uint64), np.zeros(3, np.int64), scratch_for(segments, query[0])
    for segment in segments:
        in_segment = NO_FILTER if allowed is None else bitmap(allowed[segment.base + segment.order])
        call = segment.postings, *query, admit(segment.base, in_segment), heap
        search_approximately(*call, scratch.arrays, visits, Limits(alpha, budget, cut))
        scratch.check()
    return hits(heap), visits.tolist()


@property_cases(1)
@given(seed=seeds, n_docs=sizes)
def test_scores_are_true_and_what_nothing_was_skipped_for_is_exact(seed: int, n_docs: int) -> None:
    rng = np.random.default_rng(seed)
    collection = draw_collection(rng, n_docs)
    matrix, segments = segments_of(collection, int(rng.integers(1, 4)))
    query = draw_any_query(rng, collection.n_terms)
    allowed = rng.random(n_docs) < rng.choice((0.05, 0.6)) if rng.random() < 0.3 else None
    everything = np.ones(n_docs, bool) if allowed is None else allowed
    k = int(rng.choice((1, 3, 10, 100)))
    alpha, budget = float(rng.choice((1.0, 0.9, 0.5, 0.01))), int(rng.choice((NO_LIMIT, 1, 3)))
    cut = int(rng.choice((NO_LIMIT, 1, 4)))
    found, (bounded, scored, skipped) = search(segments, query, k, alpha=alpha, budget=budget, cut=cut, allowed=allowed)
    best = rank_by_matrix(matrix, *query, everything, 1, k)
    truth = {position: score for score, position in rank_by_matrix(matrix, *query, everything, 1, n_docs)}
    assert all(truth[position] == score for score, position in found)
    assert found == sorted(found, key=lambda hit: (-hit[0], hit[1]))
    assert scored <= min(bounded, budget * len(segments))
    if skipped == 0 and cut == NO_LIMIT:
        assert found == best
    if alpha == 1.0 and budget == cut == NO_LIMIT:
        assert (found, skipped) == (best, 0)


def test_a_budget_takes_the_most_promising_first() -> None:
    matrix, segments = segments_of(draw_collection(np.random.default_rng(4), 1500), 1)
    query = np.arange(matrix.shape[1]), np.full(matrix.shape[1], 3, np.uint32)
    least = 0
    for budget in (1, 4, 16, 64):
        found, (_, scored, _) = search(segments, query, 10, budget=budget)
        assert scored <= budget
        assert sum(score for score, _ in found) >= least
        least = sum(score for score, _ in found)
    assert found == rank_by_matrix(matrix, *query, np.ones(len(matrix), bool), 1, 10)


@pytest.mark.parametrize("size", [0, 1, 2, 9])
def test_rows_are_sorted_by_weight_and_equal_ones_stay(size: int) -> None:
    weights = np.random.default_rng(size).integers(0, 4, size).astype(np.uint32)
    rows, expected = np.arange(size), np.argsort(-weights.astype(np.int64), kind="stable")
    sorted_weights = weights.copy()
    heaviest_first(rows, sorted_weights)
    assert rows.tolist() == expected.tolist()
    assert sorted_weights.tolist() == weights[expected].tolist()
