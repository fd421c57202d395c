"""Scrolling through all documents of an index: pages of one generation, whatever is changed meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http import HTTPStatus
from itertools import groupby
from typing import Any

from lsr.errors import IndexMissingError
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.passages import owner_of, whole
from lsr.server.problems import Problem, bad_request
from lsr.types import Document

KEPT = 4
"""Earlier generations that are kept open for clients that scroll through them."""


class Scrolls:
    """The generations that clients scroll through. Safe to use from many threads."""

    def __init__(self) -> None:
        self._kept: dict[int, StoredIndex] = {}
        self._lock = threading.Lock()

    def at(self, newest: StoredIndex, generation: int) -> StoredIndex:
        """Return a generation of an index. Raises Problem (410) where it is gone."""
        if generation == newest.manifest.generation:
            self._keep(newest)
            return newest
        with self._lock:
            found = self._kept.get(generation)
        if found is not None:
            return found
        try:
            found = StoredIndex.open(newest.path, generation=generation)
        except IndexMissingError as error:
            raise Problem(
                HTTPStatus.GONE,
                "cursor-gone",
                f"generation {generation} of the index is gone: start again without after",
            ) from error
        self._keep(found)
        return found

    def _keep(self, index: StoredIndex) -> None:
        with self._lock:
            self._kept.pop(index.manifest.generation, None)
            self._kept[index.manifest.generation] = index
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]


def parse_cursor(text: str) -> tuple[int, int]:
    """Return the generation and the position of a cursor. Raises Problem."""
    generation, dot, position = text.partition(".")
    if not (dot and all(part.isascii() and part.isdecimal() and len(part) < 16 for part in (generation, position))):
        raise bad_request(f"after is {text!r:.60}; it must be the value of next of an earlier page", "after")
    return int(generation), int(position)


def documents_after(index: StoredIndex, position: int, bitmaps: Any = None) -> Iterator[tuple[int, Document]]:
    """Yield documents in the order of addition, each with the position after its last passage.

    position: the first that is read. bitmaps: of a filter, a bitmap a segment (default: all documents).
    """
    rows = _rows_after(index, position, bitmaps)
    if index.manifest.passages is None:
        yield from rows
        return
    for _, passages in groupby(rows, lambda row: owner_of(row[1])):
        found = list(passages)
        yield found[-1][0], whole([document for _, document in found])


def _rows_after(index: StoredIndex, position: int, bitmaps: Any) -> Iterator[tuple[int, Document]]:
    return ((place + 1, document) for place, document in index.placed_documents(bitmaps, first=position))
