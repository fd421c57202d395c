"""The cut of a corpus into units, each of which becomes one shard.

Where a unit ends follows from where it begins and from the documents alone. So units that are encoded by several
processes are those of one process, and of a job that was interrupted any of them may be there, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lsr.errors import LsrError
from lsr.indexer.encode.shards import Shard, SourceHash
from lsr.indexer.encode.windows import windows
from lsr.io.progress import Progress
from lsr.types import Document

SHARD_DOCUMENTS = 4096
"""Documents of a shard, or a window more."""


class ChangedCorpusError(LsrError):
    """The documents are others than those that a shard was made of. number: of that shard."""

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(
            f"{path}: the documents aren't those that it was made of: encode the changed corpus into an empty folder"
        )
        self.number = number


class Unit(NamedTuple):
    """The documents of a shard, in the windows that are encoded together. number: of the shard."""

    number: int
    windows: list[list[Document]]

    @property
    def n_docs(self) -> int:
        """Number of documents."""
        return sum(map(len, self.windows))


class Workers(Protocol):
    """Processes that encode units."""

    @property
    def description(self) -> Mapping[str, Any]:
        """The description of their encoders, with its runtime."""
        ...

    def encode(self, units: Iterable[Unit], folder: Path) -> Iterator[tuple[int, Shard]]:
        """Write a shard of each unit into a folder, and yield it with its number, in any order."""
        ...


class Units:
    """The units of a corpus that are not encoded yet. done: finished shards, by number; size: as of `windows`."""

    def __init__(
        self, documents: Iterable[Document], done: Mapping[int, Shard], size: Mapping[str, Any], listener: Progress
    ) -> None:
        self._stream = iter(documents)
        self._done = done
        self._size = size
        self._listener = listener
        self._number = 0

    def __iter__(self) -> Iterator[Unit]:
        """Yield all that are due. Raises ChangedCorpusError."""
        while unit := self._next():
            yield unit

    def between(self) -> Iterator[Unit]:
        """Yield those before the last finished shard."""
        last = max(self._done, default=-1)
        while self._number <= last and (unit := self._next(last)):
            yield unit

    def windows(self) -> Iterator[list[Document]]:
        """Return the windows of all documents that are left."""
        return windows(self._stream, **self._size)

    @property
    def number(self) -> int:
        """Number of the next unit."""
        return self._number

    def _next(self, last: int | None = None) -> Unit | None:
        while self._number in self._done:
            self._skip(self._done[self._number])
        if last is not None and self._number > last:
            return None
        taken: list[Document] = []
        unit = Unit(self._number, [])
        for window in windows(_noted(self._stream, taken), **self._size):
            unit.windows.append(window)
            if unit.n_docs >= SHARD_DOCUMENTS:
                break
        self._stream = chain(taken[unit.n_docs :], self._stream)  # the next window had begun
        if not unit.windows:
            if beyond := [number for number in self._done if number > self._number]:
                raise ChangedCorpusError(self._done[min(beyond)].path, self._number)
            return None
        self._number += 1
        return unit

    def _skip(self, shard: Shard) -> None:
        source = SourceHash()
        source.update(islice(self._stream, shard.n_docs))
        if source.value() != shard.source:
            raise ChangedCorpusError(shard.path, self._number)
        self._listener.advance(shard.n_docs)
        self._number += 1


def _noted(stream: Iterator[Document], taken: list[Document]) -> Iterator[Document]:
    for document in stream:
        taken.append(document)
        yield document
