"""Timing of engines side by side: interleaved, round by round, so that other load affects all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.eval.bench.engine import Search
from lsr.types import SparseBatch

PROTOCOL = (
    "One process, one thread, whole call from Python, queries prepared beforehand in the form the engine takes. "
    "One warm-up round over all queries, then the rounds: in each, every engine answers all queries in order, "
    "one engine after the other. A query's latency is the median over its rounds."
)


@dataclass(frozen=True, slots=True)
class Latency:
    """Microseconds a query, over n queries."""

    mean_us: float
    p50_us: float
    p95_us: float
    p99_us: float
    max_us: float
    n: int


@dataclass(frozen=True, slots=True)
class Round:
    """µs that each query took, (n_queries), and the processor's seconds against those of the clock."""

    latency_us: npt.NDArray[np.float64]
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Timed:
    """Positions that an engine found in the warm-up round, a query each, and its latencies, µs (n_queries).

    cpu_us: mean time of processors for a query, all threads of the process together, over all rounds.
    waited: the share of the time in which the process had no core, because of other work on the machine.
    """

    found: list[npt.NDArray[np.int64]]
    latency_us: npt.NDArray[np.float64]
    cpu_us: float
    waited: float


def summarise(latency_us: npt.NDArray[np.float64]) -> Latency:
    """Return mean and percentiles."""
    p50, p95, p99 = np.percentile(latency_us, [50, 95, 99])
    return Latency(
        float(latency_us.mean()), float(p50), float(p95), float(p99), float(latency_us.max()), len(latency_us)
    )


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector from running while anything is timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def time_round(search: Callable[[Any, int], Any], queries: Sequence[Any], k: int) -> Round:
    """Time each query once."""
    took = np.empty(len(queries))
    clock = time.perf_counter_ns
    with no_collection():
        cpu, wall = time.process_time(), time.perf_counter()
        for i, query in enumerate(queries):
            began = clock()
            search(query, k)
            took[i] = clock() - began
        return Round(took / 1e3, time.process_time() - cpu, time.perf_counter() - wall)


def time_engines(searches: Mapping[str, Search], queries: SparseBatch, k: int, *, rounds: int) -> dict[str, Timed]:
    """Time all engines on all queries, as PROTOCOL says."""
    prepared = {name: [search.prepare(*row) for row in queries] for name, search in searches.items()}
    found = {
        name: [search.positions(search.search(query, k)) for query in prepared[name]]
        for name, search in searches.items()
    }
    timed: dict[str, list[Round]] = {name: [] for name in searches}
    for _ in range(rounds):
        for name, search in searches.items():
            timed[name].append(time_round(search.search, prepared[name], k))
    results = {}
    for name, done in timed.items():
        cpu_s, wall_s = sum(r.cpu_s for r in done), sum(r.wall_s for r in done)
        results[name] = Timed(
            found=found[name],
            latency_us=np.median([r.latency_us for r in done], axis=0),
            cpu_us=cpu_s / (rounds * max(1, len(queries))) * 1e6,
            waited=max(0.0, 1 - cpu_s / wall_s),
        )
    return results


@dataclass(frozen=True, slots=True)
class Rate:
    """Queries a second, and the mean number of cores at work for them.

    There are fewer cores than threads where other work had them, or the threads waited for each other.
    """

    qps: float
    cores: float


def time_threads(
    answer: Callable[[int], object], thread_counts: Sequence[int], n_queries: int, *, rounds: int
) -> dict[int, Rate]:
    """Return the rate for each number of threads, the median of the rounds, which are interleaved too.

    answer: answers all queries with so many threads.
    """
    for threads in thread_counts:
        answer(threads)
    took: dict[int, list[tuple[float, float]]] = {threads: [] for threads in thread_counts}
    for _ in range(rounds):
        for threads in thread_counts:
            with no_collection():
                cpu, wall = time.process_time(), time.perf_counter()
                answer(threads)
                took[threads].append((time.perf_counter() - wall, time.process_time() - cpu))
    rates = {}
    for threads, times in took.items():
        wall_s, cpu_s = np.median(times, axis=0)
        rates[threads] = Rate(n_queries / float(wall_s), float(cpu_s / wall_s))
    return rates
