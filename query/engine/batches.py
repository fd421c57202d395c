"""Many queries on all cores: results in their order, computed only a little ahead of the caller."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

from lsr.io.cores import available_cores

T = TypeVar("T")
TASK = 16
"""Queries that a thread takes at a time."""


def ranked(
    find: Callable[[range], Sequence[T]], n_queries: int, threads: int | None, *, at_once: int = TASK
) -> Iterator[T]:
    """Return the results of the queries 0, 1, … as they are asked for. threads: default, one a core.

    find: returns those of some queries, `at_once` at most.
    """
    threads = threads or available_cores()
    tasks = [range(first, min(first + at_once, n_queries)) for first in range(0, n_queries, at_once)]
    if threads == 1 or len(tasks) <= 1:
        return chain.from_iterable(map(find, tasks))
    return _in_order(find, tasks, threads)


def _in_order(find: Callable[[range], Sequence[T]], tasks: Sequence[range], threads: int) -> Iterator[T]:
    """Yield results in order; only so many are computed ahead that no thread waits."""
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Sequence[T]]] = deque()
        try:
            for task in tasks:
                ahead.append(pool.submit(find, task))
                if len(ahead) > 4 * threads:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
