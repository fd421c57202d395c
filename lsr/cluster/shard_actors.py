"""Search of a set by Ray: an actor for each shard, or several, wherever the cluster has room.

Requests and replies are bytes. An actor that dies is started again by Ray, and a request that was on its way fails at
once; one that doesn't answer costs the timeout.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsr.cluster.session import connected, first_line
from lsr.errors import ClusterError, UsageError
from lsr.io.fork_safe import ForkSafeLock
from lsr.query.shards.packing import pack
from lsr.query.shards.threads import AT_A_TIME, LazyShard
from lsr.query.shards.transport import Connection, Lost, ShardPlace

STARTING_S = 300.0
"""Time that actors get to start, open their shards and load what searches need."""
MOST_REPLICAS = 64


class ShardActor:
    """A shard in a process of a cluster."""

    def __init__(self, place: dict[str, Any]) -> None:
        self._shard = LazyShard(ShardPlace(**place))

    def warm(self) -> int:
        """Open the shard, load what searches need, and return the id of this process."""
        import os

        self._shard.answer(pack(["warm", {"whole": False}]))
        return os.getpid()

    def answer(self, request: bytes) -> bytes:
        """Return the reply to a request."""
        return self._shard.answer(request)


@dataclass(frozen=True, slots=True)
class RayActors:
    """Actors of a Ray cluster as the way to the shards of a set.

    Attributes:
        address: HOST:PORT of the cluster's head, or "auto" (default: the cluster that runs on this machine, or one
            of this machine alone).
        restarts: number of times that a dead actor is started again; -1 for any.
        replicas: number of actors for each shard. The least busy is asked, and another one when it fails.
        concurrency: number of searches that an actor works on at the same time (default: 8). 1 spares each the handing
            over to a thread.
        cpus: number of cores that Ray sets aside for an actor (default: 0, so that any number finds room).

    Raises:
        UsageError: a value is outside its range.
    """

    address: str | None = None
    restarts: int = 3
    replicas: int = 1
    concurrency: int = AT_A_TIME
    cpus: float = 0.0

    def __post_init__(self) -> None:
        """Raise UsageError for a value outside its range."""
        if type(self.restarts) is not int or self.restarts < -1:
            raise UsageError(f"restarts is {self.restarts!r:.60}; it must be 0 or more, or -1 for any number")
        if type(self.concurrency) is not int or self.concurrency < 1:
            raise UsageError(f"concurrency is {self.concurrency!r:.60}; it must be at least 1")
        if type(self.replicas) is not int or not 1 <= self.replicas <= MOST_REPLICAS:
            raise UsageError(f"replicas is {self.replicas!r:.60}; it must be from 1 to {MOST_REPLICAS}")

    def connect(self, shards: Sequence[ShardPlace]) -> Connection:
        """Start an actor for each shard and replica, and wait until all are ready. Raises ClusterError."""
        return Actors(connected(self.address), self, shards)


class Actors:
    """The actors of one generation of a set. pids: of their processes, by shard and replica, when they started."""

    def __init__(self, ray: Any, settings: RayActors, shards: Sequence[ShardPlace]) -> None:
        self._ray = ray
        self._errors = ray.exceptions
        options = {
            "max_restarts": settings.restarts, "max_task_retries": 0, "max_concurrency": settings.concurrency,
            "num_cpus": settings.cpus, "scheduling_strategy": "SPREAD",
        }  # fmt: skip
        actor = ray.remote(ShardActor).options(**options)
        self._replicas = [[actor.remote(place.as_json()) for _ in range(settings.replicas)] for place in shards]
        self._busy = [[0] * settings.replicas for _ in shards]
        self._lock = ForkSafeLock()
        self.pids = self._ready()

    def _ready(self) -> list[list[int]]:
        refs = [[actor.warm.remote() for actor in some] for some in self._replicas]
        try:
            found: list[list[int]] = [self._ray.get(some, timeout=STARTING_S) for some in refs]
        except self._errors.GetTimeoutError as error:
            n = sum(map(len, refs))
            raise ClusterError(
                f"{n} actors were not ready within {STARTING_S:g} s: 'ray status' says whether the cluster has room"
            ) from error
        except self._errors.RayError as error:
            raise ClusterError(
                f"the workers of the cluster can't open shards ({first_line(error)}): lsr-search must be installed "
                "on all of its machines, in the same version"
            ) from error
        return found

    def ask(self, requests: Mapping[int, bytes], timeout_s: float | None) -> dict[int, bytes | Lost]:
        """Ask an actor of each shard, and another replica of those that fail."""
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        found: dict[int, bytes | Lost] = {}
        tried: dict[int, set[int]] = {number: set() for number in requests}
        due = list(requests)
        n_replicas = len(self._replicas[0]) if self._replicas else 1
        for left in range(n_replicas, 0, -1):
            # A silent replica leaves half of the time to another.
            remaining = None if ends is None else max(0.0, ends - time.monotonic())
            wait_s = remaining if remaining is None or left == 1 else remaining / 2
            found |= self._asked({number: requests[number] for number in due}, tried, wait_s, timeout_s)
            due = [number for number in due if isinstance(found[number], Lost)]
            if not due:
                break
        return found

    def _asked(
        self,
        requests: Mapping[int, bytes],
        tried: Mapping[int, set[int]],
        wait_s: float | None,
        timeout_s: float | None,
    ) -> dict[int, bytes | Lost]:
        chosen = {number: self._choose(number, tried[number]) for number in requests}
        refs = [self._replicas[number][chosen[number]].answer.remote(data) for number, data in requests.items()]
        ends = None if wait_s is None else time.monotonic() + wait_s
        try:
            replies: list[bytes | Lost] = self._ray.get(refs, timeout=wait_s)
        except self._errors.RayError:
            if len(refs) > 1:  # the others may be there, or come in what is left of the time
                left_s = None if ends is None else max(0.0, ends - time.monotonic())
                self._ray.wait(refs, num_returns=len(refs), timeout=left_s)
            replies = [self._reply(ref, timeout_s) for ref in refs]
        with self._lock:
            for (number, replica), reply in zip(chosen.items(), replies, strict=True):
                busy = self._busy[number]
                if isinstance(reply, Lost) and "no answer" in reply.reason:
                    busy[replica] = AT_A_TIME  # asked again when all others are as busy
                else:
                    busy[replica] = 0 if busy[replica] > AT_A_TIME else max(0, busy[replica] - 1)
        return dict(zip(requests, replies, strict=True))

    def _choose(self, number: int, tried: set[int]) -> int:
        """Return the least busy replica that was not tried yet."""
        with self._lock:
            busy = self._busy[number]
            replica = min((i for i in range(len(busy)) if i not in tried), key=busy.__getitem__)
            busy[replica] = max(0, busy[replica]) + 1
        tried.add(replica)
        return replica

    def _reply(self, ref: Any, timeout_s: float | None) -> bytes | Lost:
        try:
            reply: bytes = self._ray.get(ref, timeout=0)
        except self._errors.GetTimeoutError:
            return Lost(f"no answer within {timeout_s:g} s")
        except self._errors.RayActorError as error:
            return Lost(f"its process died ({first_line(error)})")
        except self._errors.RayError as error:
            return Lost(first_line(error))
        return reply

    def close(self) -> None:
        """End the actors."""
        for some in self._replicas:
            for actor in some:
                self._ray.kill(actor)
