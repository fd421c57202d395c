"""A term's k-th largest impact is that of the k-th best document by that term alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from kernel_cases import draw_any_query, draw_collection, forward_rows, property_cases, seeds, sizes
from kernel_oracle import rank_by_matrix

from lsr.kernels.thresholds import STORED_K, kth_impacts


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


def test_no_documents_and_no_terms() -> None:
    nothing = np.zeros(1, np.int64), np.empty(0, np.uint32), np.empty(0, np.uint8)
    assert kth_impacts(*nothing, 3, STORED_K).tolist() == [[0] * len(STORED_K)] * 3
    assert kth_impacts(*nothing, 0, STORED_K).shape == (0, len(STORED_K))
