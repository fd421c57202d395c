"""The heap of the k best: keys in the one order, ties to the first added, thresholds that keep ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import admit, bitmap, hits, property_cases
from kernel_oracle import key_of_plain, offer_plain, replace_least_plain

from lsr.kernels.traversals.topk import NO_FILTER, key_of, offer, replace_least

scores = st.one_of(st.integers(1, 2**32 - 1), st.integers(1, 3), st.just(2**32 - 1))
positions = st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 3))


@property_cases(4)
@given(score=scores, position=positions)
def test_a_key_holds_score_and_position(score: int, position: int) -> None:
    key = int(key_of(np.uint32(score), np.int64(position)))
    assert key == key_of_plain(score, position)
    assert hits(np.array([key], np.uint64)) == [(score, position)]


@property_cases(4)
@given(a=st.tuples(scores, positions), b=st.tuples(scores, positions))
def test_the_better_hit_has_the_larger_key(a: tuple[int, int], b: tuple[int, int]) -> None:
    """Better: a higher score, or the same score and added earlier."""
    keys = [int(key_of(np.uint32(score), np.int64(position))) for score, position in (a, b)]
    assert (keys[0] > keys[1]) == ((-a[0], a[1]) < (-b[0], b[1]))


@property_cases(4)
@given(keys=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40), key=st.integers(0, 2**64 - 1))
def test_replacing_the_least_leaves_a_heap_of_the_rest_and_the_new(keys: list[int], key: int) -> None:
    heap = np.sort(np.array(keys, np.uint64))
    plain = heap.copy()
    replace_least(heap, np.uint64(key))
    replace_least_plain(plain, key)
    assert hits(heap) == hits(plain)
    assert np.array_equal(np.sort(heap), np.sort(plain))


def draw_offers(seed: int, n_docs: int, highest: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, n_docs])
    offered = rng.integers(0, highest, n_docs, endpoint=True).astype(np.uint32)
    return offered, rng.permutation(n_docs).astype(np.uint32)


@property_cases(2)
@given(
    seed=st.integers(0, 2**16),
    n_docs=st.integers(0, 300),
    highest=st.sampled_from((0, 1, 3, 1000, 2**32 - 1)),
    k=st.sampled_from((1, 2, 3, 10, 100, 400)),
    initial_threshold=st.sampled_from((1, 2, 500, 2**31, 2**32 - 1, 2**32)),
    share=st.sampled_from((None, 0.0, 0.1, 1.0)),
    base=st.sampled_from((0, 12, 2**32 - 300)),
    step=st.sampled_from((64, 128, 320)),
)
def test_offers_leave_what_sorting_leaves(
    seed: int, n_docs: int, highest: int, k: int, initial_threshold: int, share: float | None, base: int, step: int
) -> None:
    """Offered in runs of whole superblocks, as the traversals do: heap, threshold and zeroed scores agree."""
    offered, insertion = draw_offers(seed, n_docs, highest)
    allowed = NO_FILTER if share is None else bitmap(np.random.default_rng(seed).random(n_docs) < share)
    admission = admit(base, allowed, initial_threshold)
    heap, plain_heap = np.zeros(k, np.uint64), np.zeros(k, np.uint64)
    for first in range(0, n_docs, step):
        window = offered[first : first + step]
        plain_window = window.copy()
        threshold = offer(window, first, insertion, admission, heap)
        assert threshold == offer_plain(plain_window, first, insertion, admission, plain_heap)
        assert threshold == max(initial_threshold, int(heap[0]) >> 32)
        assert not window.any()
    assert hits(heap) == hits(plain_heap)


def test_a_tie_at_the_threshold_enters_only_if_added_earlier() -> None:
    heap = np.array([key_of_plain(9, 5)], np.uint64)
    insertion = np.array([6, 4], np.uint32)
    assert offer(np.array([9], np.uint32), 0, insertion, admit(), heap) == 9
    assert hits(heap) == [(9, 5)]
    assert offer(np.array([9, 9], np.uint32), 0, insertion, admit(), heap) == 9
    assert hits(heap) == [(9, 4)]


def test_a_score_of_zero_never_enters() -> None:
    heap = np.zeros(3, np.uint64)
    offer(np.zeros(64, np.uint32), 0, np.arange(64, dtype=np.uint32), admit(), heap)
    assert not heap.any()


@pytest.mark.parametrize("position", [0, 63, 64, 129])
def test_a_filter_lets_in_the_documents_whose_bits_are_set(position: int) -> None:
    allowed = bitmap(np.arange(130) == position)
    heap = np.zeros(3, np.uint64)
    insertion = np.arange(130, dtype=np.uint32)
    for first in (0, 64, 128):
        some = np.full(min(64, 130 - first), 8, np.uint32)
        offer(some, first, insertion, admit(0, allowed), heap)
    assert hits(heap) == [(8, position)]
