"""Many queries on all cores: rankings in their order, made only a little ahead of whoever asks for them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from lsr.query.engine import Ranking

TASK = 16
"""Queries that a thread takes at a time."""


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ranked(rank: Callable[[int], Ranking], n_queries: int, threads: int | None) -> Iterator[Ranking]:
    """Return the rankings of the queries 0, 1, … as they are asked for. threads: default, one a core."""
    threads = threads or available_cores()
    if threads == 1 or n_queries <= TASK:
        return map(rank, range(n_queries))
    return _in_order(rank, n_queries, threads)


def _in_order(rank: Callable[[int], Ranking], n_queries: int, threads: int) -> Iterator[Ranking]:
    """Yield rankings in order; only so many are made ahead that no thread waits."""

    def task(first: int) -> list[Ranking]:
        return [rank(number) for number in range(first, min(first + TASK, n_queries))]

    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[list[Ranking]]] = deque()
        try:
            for first in range(0, n_queries, TASK):
                ahead.append(pool.submit(task, first))
                if len(ahead) > 4 * threads:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
