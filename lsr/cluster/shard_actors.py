"""Search of a set by Ray: an actor a machine, which searches its share of the shards.

Requests and replies are bytes, one call an actor: calls cost more than most searches do. An actor that dies is started
again by Ray, and a request that was on its way fails at once; one that doesn't answer costs the timeout.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from lsr.cluster.session import connected, first_line
from lsr.errors import ClusterError, UsageError
from lsr.io.cores import available_cores
from lsr.io.fork_safe import ForkSafeLock
from lsr.query.shards.packing import pack
from lsr.query.shards.threads import AT_A_TIME, LazyShard
from lsr.query.shards.transport import Connection, Lost, ShardPlace

STARTING_S = 300.0
"""Time that actors get to start, open their shards and load what searches need."""
MOST_REPLICAS = 64
WORTH_A_THREAD_S = 0.002
"""Time that a shard takes to answer from which the actor's others answer in threads: these cost half a millisecond."""
_LENGTH = struct.Struct("<Q")


class ShardActor:
    """Shards in a process of a cluster."""

    def __init__(self, places: Sequence[dict[str, Any]]) -> None:
        self._shards = [LazyShard(ShardPlace(**place)) for place in places]
        self._pool = ThreadPoolExecutor(min(available_cores(), len(places)), "shard")

    def warm(self) -> int:
        """Open the shards, load what searches need, and return the id of this process."""
        import os

        for shard in self._shards:
            shard.answer(pack(["warm", {"whole": False}]))
        return os.getpid()

    def answer(self, asked: bytes, request: bytes) -> bytes:
        """Return the joined replies of the shards whose byte in `asked` is not 0."""
        shards = [shard for shard, is_asked in zip(self._shards, asked, strict=True) if is_asked]
        began = time.perf_counter()
        first = shards[0].answer(request)
        if len(shards) == 1:
            return first
        is_short = time.perf_counter() - began < WORTH_A_THREAD_S
        each = (map if is_short else self._pool.map)(lambda shard: shard.answer(request), shards[1:])
        return joined([first, *each])


def joined(replies: Sequence[bytes]) -> bytes:
    """Return replies as one, each behind its length."""
    return b"".join(part for reply in replies for part in (_LENGTH.pack(len(reply)), reply))


def parted(data: bytes, n: int) -> list[bytes]:
    """Return the n replies that `joined` was given; one was not joined."""
    if n == 1:
        return [data]
    found, at = [], 0
    for _ in range(n):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        found.append(data[at : at + length])
        at += length
    return found


@dataclass(frozen=True, slots=True)
class RayActors:
    """Actors of a Ray cluster as the way to the shards of a set.

    Attributes:
        address: HOST:PORT of the cluster's head, or "auto" (default: the cluster that runs on this machine, or one
            of this machine alone).
        restarts: number of times that a dead actor is started again; -1 for any.
        actors: number of actors that share the shards, in neighbouring parts (default: one for each machine of the
            cluster, at most one a shard). What is lost with an actor are all of its shards.
        replicas: number of actors for each part. The least busy is asked, and another one when it fails.
        concurrency: number of searches that an actor works on at the same time (default: 8). 1 spares each the handing
            over to a thread.
        cpus: number of cores that Ray sets aside for an actor (default: 0, so that any number finds room).

    Raises:
        UsageError: a value is outside its range.
    """

    address: str | None = None
    restarts: int = 3
    actors: int | None = None
    replicas: int = 1
    concurrency: int = AT_A_TIME
    cpus: float = 0.0

    def __post_init__(self) -> None:
        """Raise UsageError for a value outside its range."""
        if type(self.restarts) is not int or self.restarts < -1:
            raise UsageError(f"restarts is {self.restarts!r:.60}; it must be 0 or more, or -1 for any number")
        if type(self.concurrency) is not int or self.concurrency < 1:
            raise UsageError(f"concurrency is {self.concurrency!r:.60}; it must be at least 1")
        if self.actors is not None and (type(self.actors) is not int or self.actors < 1):
            raise UsageError(f"actors is {self.actors!r:.60}; it must be at least 1")
        if type(self.replicas) is not int or not 1 <= self.replicas <= MOST_REPLICAS:
            raise UsageError(f"replicas is {self.replicas!r:.60}; it must be from 1 to {MOST_REPLICAS}")

    def connect(self, shards: Sequence[ShardPlace]) -> Connection:
        """Start the actors, and wait until all have opened their shards. Raises ClusterError."""
        return Actors(connected(self.address), self, shards)


class Actors:
    """The actors of one generation of a set. pids: of their processes, by part and replica, when they started."""

    def __init__(self, ray: Any, settings: RayActors, shards: Sequence[ShardPlace]) -> None:
        self._ray = ray
        self._errors = ray.exceptions
        options = {
            "max_restarts": settings.restarts, "max_task_retries": 0, "max_concurrency": settings.concurrency,
            "num_cpus": settings.cpus, "scheduling_strategy": "SPREAD",
        }  # fmt: skip
        actor = ray.remote(ShardActor).options(**options)
        n_parts = settings.actors or sum(bool(node["Alive"]) for node in ray.nodes())
        self._parts = parts_of(len(shards), n_parts)
        self._replicas = [
            [actor.remote([shards[number].as_json() for number in part]) for _ in range(settings.replicas)]
            for part in self._parts
        ]
        self._busy = [[0] * settings.replicas for _ in self._parts]
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

    def ask(self, shards: Sequence[int], request: bytes, timeout_s: float | None) -> dict[int, bytes | Lost]:
        """Ask the actors of some shards, and another replica of those that fail."""
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        asked = set(shards)
        due = {i: [number for number in part if number in asked] for i, part in enumerate(self._parts)}
        due = {i: some for i, some in due.items() if some}
        found: dict[int, bytes | Lost] = {}
        tried: dict[int, set[int]] = {i: set() for i in due}
        n_replicas = len(self._replicas[0]) if self._replicas else 1
        for left in range(n_replicas, 0, -1):
            # A silent replica leaves half of the time to another.
            remaining = None if ends is None else max(0.0, ends - time.monotonic())
            wait_s = remaining if remaining is None or left == 1 else remaining / 2
            replies = self._asked(due, request, tried, wait_s, timeout_s)
            for i, reply in replies.items():
                each = [reply] * len(due[i]) if isinstance(reply, Lost) else parted(reply, len(due[i]))
                found.update(zip(due[i], each, strict=True))
            due = {i: some for i, some in due.items() if isinstance(replies[i], Lost)}
            if not due:
                break
        return found

    def _asked(
        self,
        due: Mapping[int, Sequence[int]],
        request: bytes,
        tried: Mapping[int, set[int]],
        wait_s: float | None,
        timeout_s: float | None,
    ) -> dict[int, bytes | Lost]:
        """Return the reply of one replica of each part that shards are due of."""
        chosen = {i: self._choose(i, tried[i]) for i in due}
        refs = []
        for i, some in due.items():
            asked = bytes(number in some for number in self._parts[i])
            refs.append(self._replicas[i][chosen[i]].answer.remote(asked, request))
        ends = None if wait_s is None else time.monotonic() + wait_s
        try:
            replies: list[bytes | Lost] = self._ray.get(refs, timeout=wait_s)
        except self._errors.RayError:
            if len(refs) > 1:  # the others may be there, or come in what is left of the time
                left_s = None if ends is None else max(0.0, ends - time.monotonic())
                self._ray.wait(refs, num_returns=len(refs), timeout=left_s)
            replies = [self._reply(ref, timeout_s) for ref in refs]
        with self._lock:
            for (i, replica), reply in zip(chosen.items(), replies, strict=True):
                busy = self._busy[i]
                if isinstance(reply, Lost) and "no answer" in reply.reason:
                    busy[replica] = AT_A_TIME  # asked again when all others are as busy
                else:
                    busy[replica] = 0 if busy[replica] > AT_A_TIME else max(0, busy[replica] - 1)
        return dict(zip(due, replies, strict=True))

    def _choose(self, part: int, tried: set[int]) -> int:
        """Return the least busy replica that was not tried yet."""
        with self._lock:
            busy = self._busy[part]
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


def parts_of(n_shards: int, n_parts: int) -> list[range]:
    """Return the numbers of the shards of each part: neighbours, shared out evenly."""
    n_parts = max(1, min(n_parts, n_shards))
    return [range(n_shards * i // n_parts, n_shards * (i + 1) // n_parts) for i in range(n_parts)]
