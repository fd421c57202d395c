"""Hits whose files have changed or vanished since they were indexed: a look at those files alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lsr.indexer.sources.digest import digest_of
from lsr.indexer.sources.known import is_known_source
from lsr.indexer.sources.table import FileState, OpenTable, path_in, sources_part
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.segment import hash_ids

CHANGED, VANISHED = "changed", "vanished"
CACHED_FILES = 10_000
"""Rows of the table of files that are cached; a fuller cache is cleared, so that memory stays bounded."""
SMALL_BYTES = 1 << 18
"""Size up to which a file of another time is read. One that was touched only is not called changed."""


class Staleness:
    """The state of the files of documents. Safe to use from many threads."""

    def __init__(self, index: StoredIndex) -> None:
        self._index = index
        self._opening = threading.Lock()
        self._table: OpenTable | None = None
        part = sources_part(index)
        self._part = part if part is not None and part.files else None
        self._known: dict[int, bool] = {}
        self._files: dict[int, FileState] = {}

    def of(self, doc_ids: Sequence[str]) -> list[str | None]:
        """Return for each document CHANGED, VANISHED, or None: its file is as it was, or it has none.

        Nothing is said of a source that isn't there as a whole (a disk that is not mounted, an index that was moved),
        and no file is looked at of one that this user hasn't indexed.
        """
        table, rows = self._rows(doc_ids)
        if table is None:
            return [None] * len(doc_ids)
        states = {row: self._state(table, row) for row in set(rows) if row >= 0}
        return [states.get(row) for row in rows]

    def paths(self, doc_ids: Sequence[str]) -> list[str | None]:
        """Return for each document the path of its file; None where it has none, or this user hasn't indexed it."""
        table, rows = self._rows(doc_ids)
        if table is None:
            return [None] * len(doc_ids)
        paths = {row: self._path(table, row) for row in set(rows) if row >= 0}
        return [paths.get(row) for row in rows]

    def names(self, doc_ids: Sequence[str]) -> list[str | None]:
        """Return for each document the name of its file, as ids of the index have it.

        It tells nothing of the folders above the source. None where `paths` has none.
        """
        table, rows = self._rows(doc_ids)
        if table is None:
            return [None] * len(doc_ids)
        return [table.file(row).doc_id if row >= 0 and self._path(table, row) else None for row in rows]

    def _path(self, table: OpenTable, row: int) -> str | None:
        file = self._file(table, row)
        root = table.roots[file.source]
        path = path_in(root, file.inside)
        # A stranger's index may name any file, also one above a folder that this user has indexed.
        is_inside = path == root or os.path.normpath(path).startswith(root.rstrip("/") + "/")
        return path if is_inside and self._is_known(file.source, root) else None

    def _file(self, table: OpenTable, row: int) -> FileState:
        found = self._files.get(row)
        if found is None:
            if len(self._files) >= CACHED_FILES:
                self._files = {}  # other threads may still use the old one
            found = self._files[row] = table.file(row)
        return found

    def _is_known(self, number: int, root: str) -> bool:
        if number not in self._known:
            self._known[number] = is_known_source(root)
        return self._known[number]

    def _rows(self, doc_ids: Sequence[str]) -> tuple[OpenTable | None, list[int]]:
        """Return the table, None without a file, and the row of each document's file, -1 for none."""
        if self._part is None or not doc_ids:
            return None, []
        with self._opening:
            self._table = table = self._table or OpenTable(self._index, self._part)
        if not len(table.doc_key):
            return None, []
        keys = hash_ids(doc_ids)
        at = np.minimum(np.searchsorted(table.doc_key, keys), len(table.doc_key) - 1)
        return table, np.where(table.doc_key[at] == keys, table.doc_file[at].astype(np.int64), -1).tolist()

    def _state(self, table: OpenTable, row: int) -> str | None:
        file = self._file(table, row)
        root = table.roots[file.source]
        if not self._is_known(file.source, root):
            return None
        path = path_in(root, file.inside)
        try:
            found = os.stat(path)  # noqa: PTH116  half the time of Path.stat
        except (FileNotFoundError, NotADirectoryError):
            return VANISHED if file.inside and Path(root).is_dir() else None
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
