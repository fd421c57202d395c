"""A term's k-th largest impact is that of the k-th best document by that term alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from kernel_cases import (
    STORED_K,
    UNCOMPILED,
    Collection,
    draw_any_query,
    draw_collection,
    forward_rows,
    property_cases,
    seeds,
    sizes,
)
from kernel_oracle import rank_by_matrix

from lsr.kernels.build.kth_impacts import COUNTED_AT_ONCE, MOST, kth_impacts


def kth_plain(matrix: np.ndarray, stored_k: np.ndarray) -> np.ndarray:
    """Sort each term's impacts; a rank beyond its documents has 0."""
    padded = np.vstack([matrix, np.zeros((int(stored_k.max()), matrix.shape[1]), np.uint8)])
    descending = np.sort(padded, axis=0)[::-1]
    return descending[stored_k - 1].T


@property_cases(4)
@given(seed=seeds, n_docs=sizes)
def test_equals_the_plain_twin(seed: int, n_docs: int) -> None:
    matrix = draw_collection(np.random.default_rng(seed), n_docs).matrix()
    found = kth_impacts(*forward_rows(matrix), matrix.shape[1], STORED_K)
    assert found.dtype == np.uint8
    assert np.array_equal(found, kth_plain(matrix, STORED_K))


@property_cases(4)
@given(seed=seeds, n_docs=sizes)
def test_the_best_by_one_term_is_a_safe_threshold(seed: int, n_docs: int) -> None:
    """At least k documents reach it, so that no document below it is among the k best."""
    rng = np.random.default_rng(seed)
    matrix = draw_collection(rng, n_docs).matrix()
    terms, weights = draw_any_query(rng, matrix.shape[1])
    stored = kth_impacts(*forward_rows(matrix), matrix.shape[1], STORED_K)
    everything = np.ones(n_docs, bool)
    for column, k in enumerate(STORED_K.tolist()):
        threshold = int((weights.astype(np.int64) * stored[terms, column]).max(initial=0))
        if threshold:
            assert len(rank_by_matrix(matrix, terms, weights, everything, threshold, k)) == k


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
@pytest.mark.parametrize("surplus", [-1, 0, 1, COUNTED_AT_ONCE + 3])
def test_a_vocabulary_may_pass_what_is_counted_at_once(surplus: int) -> None:
    """The same documents, their terms spread over a large vocabulary: on both sides of each border, and the last."""
    matrix = Collection(seed=3, n_docs=1500, n_terms=6, terms="frequent").matrix()
    indptr, term_ids, impacts = forward_rows(matrix)
    n_terms = COUNTED_AT_ONCE + surplus
    spread = np.unique(
        [0, 1, *(i % n_terms for i in (COUNTED_AT_ONCE - 1, COUNTED_AT_ONCE)), n_terms // 2, n_terms - 1]
    )
    spread = np.union1d(spread, np.arange(2, 2 + 6 - len(spread)))
    found = kth_impacts(indptr, spread[term_ids].astype(np.uint32), impacts, n_terms, STORED_K)
    assert np.array_equal(found[spread], kth_plain(matrix, STORED_K))
    assert np.flatnonzero(found.any(axis=1)).tolist() == spread.tolist()


def test_no_documents_and_no_terms() -> None:
    nothing = np.zeros(1, np.int64), np.empty(0, np.uint32), np.empty(0, np.uint8)
    assert kth_impacts(*nothing, 3, STORED_K).tolist() == [[0] * len(STORED_K)] * 3
    assert kth_impacts(*nothing, 0, STORED_K).shape == (0, len(STORED_K))


def test_counts_stop_before_they_overflow() -> None:
    n_docs = MOST + 5000
    impacts = np.full(n_docs, 9, np.uint8)
    impacts[[0, 7, 70_000]] = 200
    found = kth_impacts(np.arange(n_docs + 1), np.zeros(n_docs, np.uint32), impacts, 1, STORED_K)
    assert found.tolist() == [[200 if k <= 3 else 9 for k in STORED_K.tolist()]]
