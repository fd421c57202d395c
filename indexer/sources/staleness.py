"""Hits whose files have changed or vanished since they were indexed: a look at those files alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lsr.indexer.sources.digest import digest_of
from lsr.indexer.sources.known import is_known_source
from lsr.indexer.sources.table import OpenTable, sources_part
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.segment import hash_ids

CHANGED, VANISHED = "changed", "vanished"
SMALL_BYTES = 1 << 18
"""Size up to which a file of another time is read, so that one that was touched only is not called changed."""


class Staleness:
    """The state of the files of documents. Safe to use from many threads."""

    def __init__(self, index: StoredIndex) -> None:
        self._index = index
        self._opening = threading.Lock()
        self._table: OpenTable | None = None
        part = sources_part(index)
        self._part = part if part is not None and part.files else None
        self._known: dict[int, bool] = {}

    def of(self, doc_ids: Sequence[str]) -> list[str | None]:
        """Return for each document CHANGED, VANISHED, or None: its file is as it was, or it has none.

        Nothing is said of a source that isn't there as a whole (a disk that is not mounted, an index that was moved),
        and no file is looked at of one that this user hasn't indexed.
        """
        if self._part is None or not doc_ids:
            return [None] * len(doc_ids)
        with self._opening:
            self._table = table = self._table or OpenTable(self._index, self._part)
        keys = hash_ids(doc_ids)
        at = np.minimum(np.searchsorted(table.doc_key, keys), max(len(table.doc_key) - 1, 0))
        if not len(table.doc_key):
            return [None] * len(doc_ids)
        rows = np.where(table.doc_key[at] == keys, table.doc_file[at].astype(np.int64), -1).tolist()
        states = {row: self._state(table, row) for row in set(rows) if row >= 0}
        return [states.get(row) for row in rows]

    def _state(self, table: OpenTable, row: int) -> str | None:
        file = table.file(row)
        source = table.sources[file.source]
        if not self._known.setdefault(file.source, is_known_source(source.root)):
            return None
        path = source.path(file.inside)
        try:
            found = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return VANISHED if file.inside and Path(source.root).is_dir() else None
        except OSError:  # in a folder that can't be entered: nothing is known
            return None
        if found.st_size != file.size_bytes:
            return CHANGED
        if found.st_mtime_ns == file.mtime_ns:
            return None
        if file.digest and found.st_size <= SMALL_BYTES and digest_of(path) == file.digest:
            return None
        return CHANGED


def mended_by(index: str | None) -> str:
    """Return the command that brings an index up to date. index: its path, None where the user named none."""
    from shlex import quote

    return "lsr sync" if index is None else f"lsr sync --index {quote(index)}"
