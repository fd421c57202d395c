"""The open shards of a set: requests to some of them, and errors that name those without an answer."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import lsr.errors
from lsr.errors import LsrError
from lsr.indexer.shards.manifest import HASH
from lsr.indexer.storage.index import StoredSet
from lsr.query.filters.columns import column_kinds
from lsr.query.shards.losses import lost_error
from lsr.query.shards.packing import Array, pack, unpack
from lsr.query.shards.transport import Connection, Lost, ShardPlace, Transport
from lsr.types import MissingShard

RESTING_S = 5.0
"""Time for which partial answers don't wait again for a shard that was silent."""

Reply = tuple[int, Any, list[Array]]
"""The number of a shard, and the value and arrays of its reply."""


class OpenShards:
    """The shards of one generation of a set. Safe to use from many threads.

    timeout_s: for one request (default: None, any time). starts: position of the first row of each shard, and of the
    set's end, where documents are partitioned by range; else None.
    """

    def __init__(
        self, index: StoredSet, transport: Transport, *, timeout_s: float | None, root: str | None, threads: int | None
    ) -> None:
        by_hash = index.content.partition == HASH
        sizes = [shard.n_positions for shard in index.shards]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        infos = {info.name: info for info in index.content.shards}
        kinds = column_kinds(index)
        self.places: Sequence[ShardPlace] = [
            ShardPlace(
                root or str(index.path.resolve()), shard.path.name, infos[shard.path.name].generation,
                infos[shard.path.name].manifest_crc32, infos[shard.path.name].n_docs,
                0 if by_hash else int(starts[number]), index.content.next_position if by_hash else None, kinds, threads,
            )
            for number, shard in enumerate(index.shards)
        ]  # fmt: skip
        self.path = index.path
        self.starts: npt.NDArray[np.int64] | None = None if by_hash else starts
        self.timeout_s = timeout_s
        self._silent: dict[int, float] = {}
        self._connection: Connection = transport.connect(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def close(self) -> None:
        """Release the shards."""
        self._connection.close()

    def with_positions(self, positions: npt.NDArray[np.int64]) -> Collection[int]:
        """Return the shards that may hold some of the positions."""
        if self.starts is None:
            return range(len(self))
        found: list[int] = np.unique(np.searchsorted(self.starts, positions, side="right") - 1).tolist()
        return found

    def resting(self) -> dict[int, str]:
        """Return the shards that were silent just now, with the reason, for answers that may lack them."""
        now = time.monotonic()
        return {number: "no answer to an earlier search" for number, until in self._silent.items() if now < until}

    def missing(self, absent: Mapping[int, str]) -> tuple[MissingShard, ...]:
        """Return shards as a partial answer names them. absent: reasons by number."""
        return tuple(
            MissingShard(self.places[number].name, self.places[number].n_docs, reason)
            for number, reason in sorted(absent.items())
        )

    def ask(
        self, name: str, value: Any, arrays: Sequence[Array], numbers: Collection[int], timeout_s: float | None = None
    ) -> list[Reply]:
        """Send one request to some shards, and return their replies in the order of the shards.

        Raises ShardLostError naming the shards that gave none, and what a shard raised.
        """
        request = pack([name, value], *arrays)
        due = timeout_s or self.timeout_s
        given = self._connection.ask(list(numbers), request, due)
        replies, lost, is_damage = [], {}, True
        for number in numbers:
            data = given[number]
            if isinstance(data, Lost):
                lost[number], is_damage = data.reason, False
                if "no answer" in data.reason:
                    self._silent[number] = time.monotonic() + RESTING_S
                continue
            found, of_reply = unpack(data)
            if "error" not in found:
                self._silent.pop(number, None)
                replies.append((number, found["found"], of_reply))
            elif found["is_lost"]:
                lost[number] = found["error"]
                is_damage = is_damage and found["kind"] != LsrError.__name__
            else:
                raise _known(found["kind"])(found["error"])
        if lost:
            raise lost_error(self.path, self.missing(lost), damage=is_damage)
        return replies

    def number_of(self, name: str) -> int:
        """Return the number of a shard."""
        return next(number for number, place in enumerate(self.places) if place.name == name)


def _known(kind: str) -> type[LsrError]:
    found = getattr(lsr.errors, kind, LsrError)
    return found if isinstance(found, type) and issubclass(found, LsrError) else LsrError
