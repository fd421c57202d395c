"""Shards of a set searched apart by threads of this process: the simplest transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class _InProcess:
    def __init__(self, shards: Sequence[ShardPlace]) -> None:
        self._shards = shards
        self._services: dict[int, ShardService] = {}
        self._opening = [ForkSafeLock() for _ in shards]
        self._pool = ThreadPoolExecutor(max(1, AT_A_TIME * len(shards)), "shard")

    def _answer(self, number: int, request: bytes) -> bytes:
        with self._opening[number]:
            if number not in self._services:
                try:
                    self._services[number] = ShardService(self._shards[number])
                except Exception as error:  # noqa: BLE001  a reply says it, as those of other processes do
                    return failure(error)
        return self._services[number].answer(request)

    def ask(self, requests: Mapping[int, bytes], timeout_s: float | None) -> dict[int, bytes | Lost]:
        """Answer in threads. One that doesn't end in time is left to itself."""
        futures: dict[int, Future[bytes]] = {
            number: self._pool.submit(self._answer, number, request) for number, request in requests.items()
        }
        wait(futures.values(), timeout_s)
        return {
            number: future.result() if future.done() else Lost(f"no answer within {timeout_s:g} s")
            for number, future in futures.items()
        }

    def close(self) -> None:
        """Close the shards' files, once nothing is asked of them any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
