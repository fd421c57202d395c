"""Key-value store of teachers' outputs on the disk, shared by processes and safe against a kill.

One SQLite file a teacher and its settings. A call of `put` is a transaction, so that a kill loses the batch that was
being written and nothing else.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsr.errors import LsrError
from lsr.io.folder import FILE, Folder
from lsr.io.fork_safe import ForkSafeLock
from lsr.training.cached_folder import digest_of

_AT_ONCE = 512
_TABLE = "CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL)"
_WAIT_SECONDS = 120.0


class Store:
    """Table of 16-byte keys and values.

    path: None keeps it in a temporary file, which is gone with the process. Usable from several threads,
    and by several processes at once, after a fork too.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = ForkSafeLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = -1
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _refuse_others(path)
        with self._opened():
            pass

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the values of the keys that are stored."""
        found: dict[bytes, bytes] = {}
        with self._opened() as connection:
            for first in range(0, len(keys), _AT_ONCE):
                some = keys[first : first + _AT_ONCE]
                marks = ",".join("?" * len(some))
                found.update(connection.execute(f"SELECT key, value FROM entries WHERE key IN ({marks})", some))  # noqa: S608
        return found

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Store values in one transaction; existing keys keep theirs."""
        with self._opened() as connection, connection:
            connection.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?)", values.items())

    def __len__(self) -> int:
        with self._opened() as connection:
            return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None or self._pid != os.getpid():  # SQLite's connections don't survive a fork
                    self._connection, self._pid = self._connect(), os.getpid()
                yield self._connection
            except sqlite3.DatabaseError as error:
                where = self._path or "the temporary cache"
                raise LsrError(f"{where}: the teacher's cache can't be used ({error}): remove that file") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path or "", timeout=_WAIT_SECONDS, check_same_thread=False)
        if self._path is not None:
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_TABLE)
        connection.commit()
        return connection


def _refuse_others(path: Path) -> None:
    """Raise LsrError where one of the names that SQLite opens is anything but a file of the folder."""
    folder = Folder.open(path.parent)
    for name in (path.name, *(f"{path.name}-{suffix}" for suffix in ("wal", "shm", "journal"))):
        kind = folder.kind(name)
        if kind not in (None, FILE):
            raise LsrError(f"{folder / name}: the teacher's cache can't be used (it is {kind}): remove it")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch a file to write-ahead logging, unless another process has.

    The switch alone doesn't wait for a lock: of two processes that read the old mode and both ask for the new one,
    SQLite refuses one at once, whatever the connection's timeout.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def open_store(cache: Path | None, kind: str, settings: Mapping[str, Any]) -> Store:
    """Open the store of a teacher with these settings. cache: folder of all stores; None: temporary.

    kind: prefix of the file's name. settings: JSON values that decide the outputs.
    """
    return Store(None if cache is None else cache / f"{kind}-{digest_of(dict(settings))}.sqlite")
