"""Bisection gives a permutation, the same one every time, in which similar documents are neighbours."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_cases import UNCOMPILED, Collection, draw_collection, forward_rows, property_cases, seeds, sizes

from lsr.kernels.build.reorder import Rows, bisect_range, make_split_scratch, middle, split_range
from lsr.kernels.geometry import BLOCK

Forward = tuple[np.ndarray, np.ndarray]


def log_table(n: int) -> np.ndarray:
    return np.log2(np.arange(n + 1) + 1).astype(np.float32)


def split_plain(
    order: np.ndarray, lo: int, mid: int, hi: int, rows: Forward, logs: np.ndarray, max_rounds: int
) -> None:
    """The plain twin of `split_range`: degrees counted again in every round, gains term by term."""
    indptr, term_ids = rows

    def terms(doc: int) -> list[int]:
        return term_ids[indptr[doc] : indptr[doc + 1]].tolist()  # type: ignore[no-any-return]

    def bits(degree: int, size: int) -> np.float64:
        return np.float64(degree) * np.float64(logs[size - 1] - logs[degree])

    def gain(doc: int, own: Counter[int], other: Counter[int], n_left_own: bool) -> np.float32:
        total = np.float32(0)
        for t in terms(doc):
            left, right = (own[t], other[t]) if n_left_own else (other[t], own[t])
            step = -1 if n_left_own else 1
            now = bits(left, mid - lo) + bits(right, hi - mid)
            total += np.float32(now - bits(left + step, mid - lo) - bits(right - step, hi - mid))
        return -total

    for _ in range(max_rounds):
        halves = order[lo:mid].tolist(), order[mid:hi].tolist()
        left, right = (Counter(t for doc in half for t in terms(doc)) for half in halves)
        to_right = np.array([gain(doc, left, right, True) for doc in halves[0]], np.float32)
        to_left = np.array([gain(doc, right, left, False) for doc in halves[1]], np.float32)
        swaps = 0
        for a, b in zip(*(np.argsort(gains, kind="stable").tolist() for gains in (to_right, to_left)), strict=False):
            if to_right[a] + to_left[b] >= 0:
                break
            order[lo + a], order[mid + b] = order[mid + b], order[lo + a]
            swaps += 1
        if swaps * 200 <= mid - lo:
            break


def bisect_plain(order: np.ndarray, lo: int, hi: int, leaf: int, rows: Forward, logs: np.ndarray, rounds: int) -> None:
    """The plain twin of `bisect_range`, by recursion."""
    if hi - lo > leaf:
        mid = middle_plain(lo, hi, leaf)
        split_plain(order, lo, mid, hi, rows, logs, rounds)
        bisect_plain(order, lo, mid, leaf, rows, logs, rounds)
        bisect_plain(order, mid, hi, leaf, rows, logs, rounds)


def middle_plain(lo: int, hi: int, leaf: int) -> int:
    """Half the leaves, rounded up, go to the left."""
    n_leaves_twice = -(-(hi - lo) // (2 * leaf))
    return lo + n_leaves_twice * leaf


def bisect(matrix: np.ndarray, start: np.ndarray, leaf: int = BLOCK, rounds: int = 20) -> np.ndarray:
    """Return the order that the kernel makes of `start`."""
    indptr, term_ids, _ = forward_rows(matrix)
    order = start.copy()
    n_docs, n_terms = matrix.shape
    bisect_range(order, 0, n_docs, leaf, Rows(indptr, term_ids), n_terms, log_table(n_docs), rounds)
    return order


few = st.integers(0, 60 if UNCOMPILED else 150)


@property_cases(16)
@given(seed=seeds, n_docs=few, leaf=st.sampled_from((1, 3, 4, 64)), rounds=st.sampled_from((1, 2, 20)))
def test_equals_the_plain_twin(seed: int, n_docs: int, leaf: int, rounds: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = draw_collection(rng, n_docs).matrix()
    indptr, term_ids, _ = forward_rows(matrix)
    start = rng.permutation(n_docs)
    plain = start.copy()
    bisect_plain(plain, 0, n_docs, leaf, (indptr, term_ids), log_table(n_docs), rounds)
    assert np.array_equal(bisect(matrix, start, leaf, rounds), plain)


@property_cases(8)
@given(seed=seeds, n_docs=few)
def test_a_split_touches_its_range_only_and_wipes_its_counts(seed: int, n_docs: int) -> None:
    assume(n_docs >= 2)
    rng = np.random.default_rng(seed)
    matrix = draw_collection(rng, n_docs).matrix()
    n_terms = matrix.shape[1]
    indptr, term_ids, _ = forward_rows(matrix)
    lo, mid, hi = np.sort(rng.choice(n_docs + 1, 3, replace=False)).tolist()
    start = rng.permutation(n_docs)
    order, plain = start.copy(), start.copy()
    scratch = make_split_scratch(n_terms)
    for undefined in (scratch.to_right, scratch.to_left, scratch.touched):
        undefined[:] = 10**9
    logs = log_table(hi - lo)
    split_range(order, lo, mid, hi, Rows(indptr, term_ids), logs, scratch, 3)
    assert not scratch.left.any()
    assert not scratch.right.any()
    assert np.array_equal(order[:lo], start[:lo])
    assert np.array_equal(order[hi:], start[hi:])
    split_plain(plain, lo, mid, hi, (indptr, term_ids), logs, 3)
    assert np.array_equal(order, plain)


@property_cases(16)
@given(seed=seeds, n_docs=sizes, leaf=st.sampled_from((1, 3, 4, 64)))
def test_a_permutation_and_the_same_every_time(seed: int, n_docs: int, leaf: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = draw_collection(rng, n_docs).matrix()
    start = rng.permutation(n_docs)
    order = bisect(matrix, start, leaf)
    assert np.array_equal(np.sort(order), np.arange(n_docs))
    assert np.array_equal(order, bisect(matrix, start, leaf))


@property_cases(4)
@given(lo=st.integers(0, 10**7), length=st.integers(65, 10**7), leaf=st.sampled_from((1, 3, 4, 64)))
def test_the_left_half_is_whole_leaves(lo: int, length: int, leaf: int) -> None:
    mid = middle(lo, lo + length, leaf)
    assert mid == middle_plain(lo, lo + length, leaf)
    assert (mid - lo) % leaf == 0
    assert lo < mid < lo + length
    assert abs((mid - lo) - (lo + length - mid)) <= 2 * leaf


@pytest.mark.parametrize("n_docs", [0, 1, 3, 4])
def test_documents_of_one_leaf_stay_as_they_are(n_docs: int) -> None:
    matrix = Collection(n_docs=n_docs).matrix()
    start = np.arange(n_docs)[::-1].copy()
    assert np.array_equal(bisect(matrix, start, leaf=4), start)


def test_documents_without_terms_are_kept() -> None:
    matrix = np.zeros((100, 5), np.uint8)
    matrix[::10, 0] = 1
    order = bisect(matrix, np.arange(100))
    assert np.array_equal(np.sort(order), np.arange(100))


def n_pairs(matrix: np.ndarray, order: np.ndarray) -> int:
    """Count the pairs of a block and a term in it: the non-zero block maxima."""
    return sum(int(matrix[order[i : i + BLOCK]].any(axis=0).sum()) for i in range(0, len(order), BLOCK))


def shuffled_clusters(seed: int, n_clusters: int, n_each: int) -> np.ndarray:
    """Make documents of 20 terms, 15 of them out of the 30 of their cluster, in no order."""
    rng = np.random.default_rng(seed)
    matrix = np.zeros((n_clusters * n_each, 600), np.uint8)
    for doc in range(len(matrix)):
        matrix[doc, rng.choice(30, 15, replace=False) + 30 * (doc % n_clusters)] = 1
        matrix[doc, rng.choice(600, 5, replace=False)] = 1
    return rng.permutation(matrix)


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
@pytest.mark.parametrize("seed", range(3))
def test_a_clustered_collection_fills_fewer_blocks_than_by_chance(seed: int) -> None:
    """At least half of what sorting by cluster would save is saved."""
    n_clusters = 20
    clusters = np.arange(n_clusters * 32) % n_clusters
    matrix = shuffled_clusters(seed, n_clusters, 32)
    own = np.array([np.bincount(np.flatnonzero(row) // 30, minlength=n_clusters).argmax() for row in matrix])
    assert np.array_equal(np.bincount(own), np.bincount(clusters))
    by_chance = n_pairs(matrix, np.arange(len(matrix)))
    sorted_by_cluster = n_pairs(matrix, np.argsort(own, kind="stable"))
    bisected = n_pairs(matrix, bisect(matrix, np.arange(len(matrix))))
    assert bisected < by_chance - (by_chance - sorted_by_cluster) / 2


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
@pytest.mark.parametrize("seed", range(3))
def test_a_large_split_stops_when_few_are_swapped(seed: int) -> None:
    """Halves of 400 documents: with three swaps it continues, with two it stops."""
    matrix = Collection(seed=seed, n_docs=800, n_terms=40, empty_share=0.0).matrix()
    indptr, term_ids, _ = forward_rows(matrix)
    order, plain = np.arange(800), np.arange(800)
    logs = log_table(800)
    split_range(order, 0, 400, 800, Rows(indptr, term_ids), logs, make_split_scratch(40), 40)
    split_plain(plain, 0, 400, 800, (indptr, term_ids), logs, 40)
    assert np.array_equal(order, plain)


@pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")
def test_read_only_forward_rows_of_16_bit_terms_give_the_same() -> None:
    matrix = Collection(seed=4, n_docs=500, n_terms=150).matrix()
    indptr, term_ids, _ = forward_rows(matrix)
    narrow = term_ids.astype(np.uint16)
    indptr.flags.writeable = narrow.flags.writeable = False
    order = np.arange(500)
    bisect_range(order, 0, 500, BLOCK, Rows(indptr, narrow), 150, log_table(500), 20)
    assert np.array_equal(order, bisect(matrix, np.arange(500)))
