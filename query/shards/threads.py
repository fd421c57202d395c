"""Shards of a set searched apart by threads of this process: the simplest transport."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from lsr.io.fork_safe import ForkSafeLock
from lsr.query.shards.service import ShardService, failure
from lsr.query.shards.transport import Connection, Lost, ShardPlace

AT_A_TIME = 8
"""Searches that one shard is asked for at the same time."""


@dataclass(frozen=True, slots=True)
class Threads:
    """Shards searched apart by threads of this process: for answers without those that are damaged."""

    def connect(self, shards: Sequence[ShardPlace]) -> Connection:
        """Open the shards, each when it is first asked."""
        return _InProcess(shards)


class LazyShard:
    """A shard that is opened when it is first asked, and again where that failed."""

    def __init__(self, place: ShardPlace) -> None:
        self._place = place
        self._service: ShardService | None = None
        self._opening = ForkSafeLock()

    def answer(self, request: bytes) -> bytes:
        """Return the reply to a request; one that says why the shard can't be opened, where it can't."""
        with self._opening:
            if self._service is None:
                try:
                    self._service = ShardService(self._place)
                except Exception as error:  # noqa: BLE001  a reply says it, as those of other processes do
                    return failure(error)
        return self._service.answer(request)


class _InProcess:
    def __init__(self, places: Sequence[ShardPlace]) -> None:
        self._shards = [LazyShard(place) for place in places]
        self._pool = ThreadPoolExecutor(max(1, AT_A_TIME * len(places)), "shard")

    def ask(self, shards: Sequence[int], request: bytes, timeout_s: float | None) -> dict[int, bytes | Lost]:
        """Answer in threads. One that doesn't end in time is left to itself."""
        futures: dict[int, Future[bytes]] = {
            number: self._pool.submit(self._shards[number].answer, request) for number in shards
        }
        wait(futures.values(), timeout_s)
        return {
            number: future.result() if future.done() else Lost(f"no answer within {timeout_s:g} s")
            for number, future in futures.items()
        }

    def close(self) -> None:
        """Take no further requests."""
        self._pool.shutdown(wait=False, cancel_futures=True)
