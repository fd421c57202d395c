"""The terms of an index: ids to strings and back, without loading them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.storage.files import FileInfo, map_array, save_array
from lsr.indexer.storage.manifest import REMEDY
from lsr.io.folder import Folder

FILES = ("terms.npy", "term_start.npy", "term_order.npy")


def save_vocabulary(folder: Path | Folder, terms: Sequence[str]) -> dict[str, FileInfo]:
    """Write the terms, term i having id i.

    `terms.npy`: their UTF-8 bytes one after another (uint8). `term_start.npy`: where each starts (int64,
    one more than terms). `term_order.npy`: the ids in ascending order of the bytes (uint32).
    """
    folder = Folder.of(folder)
    encoded = [term.encode("utf-8", "surrogatepass") for term in terms]
    start = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(term) for term in encoded], out=start[1:])
    order = np.array(sorted(range(len(encoded)), key=encoded.__getitem__), np.uint32)
    arrays: tuple[npt.NDArray[Any], ...] = (np.frombuffer(b"".join(encoded), np.uint8), start, order)
    return {name: save_array(folder / name, array) for name, array in zip(FILES, arrays, strict=True)}


class Vocabulary:
    """The terms of an index, opened by mmap."""

    def __init__(self, folder: Path | Folder) -> None:
        self._folder = folder = Folder.of(folder)
        self._bytes = map_array(folder / FILES[0], np.uint8, 1)
        self._start = map_array(folder / FILES[1], np.int64, 1)
        self._order = map_array(folder / FILES[2], np.uint32, 1)
        if len(self._start) != len(self._order) + 1 or self._start[0] != 0 or self._start[-1] != len(self._bytes):
            raise IndexDamagedError(f"{folder}: the files of the vocabulary do not fit each other; {REMEDY}")

    def __len__(self) -> int:
        return len(self._order)

    def _encoded(self, term_id: int) -> bytes:
        return bytes(self._bytes[self._start[term_id] : self._start[term_id + 1]])

    def term(self, term_id: int) -> str:
        """Return the string of a term id in [0, len(self))."""
        return self._encoded(term_id).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self.term(i) for i in range(len(self)))

    def lookup(self, term: str) -> int | None:
        """Return the id of a term, or None: by binary search over the mapped bytes."""
        wanted = term.encode("utf-8", "surrogatepass")
        low, high = 0, len(self._order)
        while low < high:
            mid = (low + high) // 2
            term_id = int(self._order[mid])
            found = self._encoded(term_id)
            if found == wanted:
                return term_id
            if found < wanted:
                low = mid + 1
            else:
                high = mid
        return None

    def check(self) -> None:
        """Raise IndexDamagedError unless every id is once in the ascending order of the terms."""
        start, order = self._start, self._order
        if np.any(np.diff(start) < 0) or not np.array_equal(np.sort(order), np.arange(len(order))):
            raise IndexDamagedError(f"{self._folder}: its terms are not where they should be; {REMEDY}")
        last = None
        for term_id in order:
            term = self._encoded(int(term_id))
            if last is not None and term <= last:
                raise IndexDamagedError(f"{self._folder}: its terms are not in order; {REMEDY}")
            last = term
