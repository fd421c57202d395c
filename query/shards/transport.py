"""The way to the shards of a set: what a searcher asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """All that is needed to open a shard for the searches of its set, wherever that happens.

    root: path, or URL, of the set. generation: of the shard; manifest_crc32: of the file of its manifest. first: the
    position of its first row, where documents were partitioned by range; next_position: above all positions of the set,
    where they were by hash, and then None otherwise. kinds: of the fields of all shards' documents. threads: for
    batches of queries (default: one a core of the machine that opens it).
    """

    root: str
    name: str
    generation: int
    manifest_crc32: int
    n_docs: int
    first: int
    next_position: int | None
    kinds: Mapping[str, str]
    threads: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the place as a JSON value."""
        return asdict(self)


class Lost(NamedTuple):
    """The reason why a shard gave no reply."""

    reason: str


class Connection(Protocol):
    """Shards that are open for the searches of one generation of a set."""

    def ask(self, shards: Sequence[int], request: bytes, timeout_s: float | None) -> dict[int, bytes | Lost]:
        """Send a request to shards, by their numbers, and return a reply or a loss for each within the timeout."""
        ...

    def close(self) -> None:
        """Release the shards."""
        ...


class Transport(Protocol):
    """A way to shards."""

    def connect(self, shards: Sequence[ShardPlace]) -> Connection:
        """Open shards, each where it will be searched. Raises LsrError where none can be."""
        ...
