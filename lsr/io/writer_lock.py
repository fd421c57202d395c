"""One writer at a time: a lock on a file, which the operating system releases when its holder dies.

The file is written to in its place, so it must be a file of the folder and of no other: no link, and no second name.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from lsr.errors import IndexDamagedError, IndexLockedError
from lsr.io.folder import Folder, UnfitFileError

NAME = "writer.lock"


@contextmanager
def writer_lock(index: Path | Folder) -> Iterator[None]:
    """Hold the index's writer lock.

    Raises IndexLockedError naming who holds it, and since when; IndexDamagedError where the lock is no plain file.
    """
    descriptor, owner = _locked_file(Folder.of(index)), os.getpid()
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
        try:
            yield
        finally:
            if os.getpid() == owner:  # not a process that was forked in the meantime
                _release(descriptor)
    finally:
        os.close(descriptor)


def _release(descriptor: int) -> None:
    with suppress(OSError):  # a leftover text harms nobody: the lock is the descriptor's
        os.ftruncate(descriptor, 0)
    with suppress(OSError):  # closing would leave the lock to a process that was forked in the meantime
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _locked_file(index: Folder) -> int:
    """Return the descriptor of the locked file; tries again if another writer removed the file in between."""
    while True:
        descriptor = _opened(index)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _stands_at(index, descriptor):
                return descriptor
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise IndexLockedError(f"{index} is being written to by {holder}; wait for it, or end it") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _opened(index: Folder) -> int:
    try:
        return index.open_or_create(NAME)
    except UnfitFileError as error:
        raise IndexDamagedError(
            f"{index / NAME}: can't be locked ({error.strerror}); remove it, if no writer is at work"
        ) from error


def _stands_at(index: Folder, descriptor: int) -> bool:
    try:
        return os.path.samestat(index.state(NAME), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "another process"
