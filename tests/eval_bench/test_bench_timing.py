"""Rounds are interleaved, medians taken, labels kept apart."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.eval.bench.figure import LABEL_GAP, spread
from lsr.eval.bench.timing import summarise, time_engines, time_threads
from lsr.types import SparseBatch

QUERIES = SparseBatch.from_rows([{0: 1.0}, {1: 2.0}], 3)


class Recorder:
    """An engine that writes down who was asked what."""

    def __init__(self, name: str, log: list[tuple[str, int]]) -> None:
        self.name, self.log = name, log

    def prepare(self, term_ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> int:
        return int(term_ids[0])

    def search(self, query: int, k: int) -> list[int]:
        self.log.append((self.name, query))
        return [query] * k

    def positions(self, result: Any) -> npt.NDArray[np.int64]:
        return np.array(result, np.int64)


def test_engines_take_turns_round_by_round_after_a_warm_up() -> None:
    log: list[tuple[str, int]] = []
    timed = time_engines({name: Recorder(name, log) for name in "ab"}, QUERIES, 3, rounds=2)
    assert log == [("a", 0), ("a", 1), ("b", 0), ("b", 1)] * 3
    assert [found.tolist() for found in timed["b"].found] == [[0, 0, 0], [1, 1, 1]]
    assert timed["a"].latency_us.shape == (2,)
    assert (timed["a"].latency_us > 0).all()
    assert 0 <= timed["a"].waited <= 1


def test_a_latency_is_the_median_of_its_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    durations = iter([1000, 5000, 9000, 2000, 3000, 4000])
    state = {"now": 0}

    def clock() -> int:
        if next(ticks) % 2:
            state["now"] += next(durations)
        return state["now"]

    monkeypatch.setattr("time.perf_counter_ns", clock)
    timed = time_engines({"a": Recorder("a", [])}, QUERIES, 1, rounds=3)
    assert timed["a"].latency_us.tolist() == [3.0, 4.0]


def test_thread_counts_take_turns_too() -> None:
    asked: list[int] = []
    rates = time_threads(asked.append, [1, 2], 10, rounds=2)
    assert asked == [1, 2] * 3
    assert sorted(rates) == [1, 2]
    assert all(rate.qps > 0 and rate.cores >= 0 for rate in rates.values())


def test_percentiles_are_of_the_queries() -> None:
    latency = summarise(np.arange(1.0, 102.0))
    assert (latency.mean_us, latency.p50_us, latency.p95_us, latency.p99_us, latency.max_us) == (51, 51, 96, 100, 101)
    assert latency.n == 101


@given(st.lists(st.floats(10, 1000), min_size=1, max_size=12))
def test_labels_keep_their_order_and_their_distance(values: list[float]) -> None:
    heights = [math.log(height) for height in spread(sorted(values), (5, 2000))]
    gap = LABEL_GAP * math.log(2000 / 5)
    assert all(b - a > gap * 0.999 for a, b in itertools.pairwise(heights))
    assert heights[-1] <= math.log(2000) + 1e-9


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([10, 100, 1000], (5, 2000)) == pytest.approx([10, 100, 1000])
