"""Threads that do the work of requests: a bounded number of them, and a bounded number of requests that wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar

from lsr.server.problems import Problem

Result = TypeVar("Result")


class Workers:
    """A pool of threads that refuses work where too much waits already. waiting: the most calls that may wait."""

    def __init__(self, threads: int, waiting: int, name: str = "lsr-search") -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most = threads + waiting
        self._n = 0
        self._counting = threading.Lock()

    @property
    def n_calls(self) -> int:
        """The number of calls that run or wait."""
        return self._n

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return the result of a function that runs in a thread. Raises Problem (429) where too many wait."""
        with self._counting:
            if self._n >= self._most:
                raise Problem(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "busy",
                    f"{self._n} requests are worked on or wait, the limit; try again in a second",
                    headers={"Retry-After": "1"},
                )
            self._n += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def _done(self, _: Future[Result]) -> None:
        with self._counting:
            self._n -= 1

    def close(self) -> None:
        """Wait for the calls that run."""
        self._pool.shutdown(wait=True)
