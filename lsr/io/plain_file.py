"""Opening of files that were found in folders of others, who may put something else in their place meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from lsr.errors import LsrError

_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Folders above may be closed to reading, and are opened all the same where the system can.
_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_plain(path: str | Path) -> int:
    """Return the descriptor, to read, of a regular file, through no link in any part of its path.

    path: absolute, as `os.path.realpath` gives it. Raises OSError for a link, and for a FIFO or device, none of which
    is waited for.
    """
    folders, name = os.path.split(os.fspath(path))
    above = os.open("/", _FOLDER_FLAGS)
    try:
        for part in filter(None, folders.split("/")):
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=above)
            os.close(above)
            above = inner
        # Looked at before, since opening a device may do something, and after, since it may be another by then.
        _require_file(os.stat(name, dir_fd=above, follow_symlinks=False), path)
        descriptor = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=above)
    finally:
        os.close(above)
    try:
        _require_file(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_regular(path: str | Path) -> int:
    """Return the descriptor, to read, of a regular file, which a link may lead to. Raises OSError for others."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require_file(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def opened(path: str | Path) -> BufferedReader:
    """Open a regular file to read its bytes, also through links, as `open_regular` does."""
    return os.fdopen(open_regular(path), "rb")


def sha256_of(path: str | Path) -> bytes:
    """Return the SHA-256 of a regular file. Raises LsrError where it can't be read."""
    try:
        with opened(path) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise LsrError(f"{path}: can't be read ({error.strerror or error})") from error


def _require_file(state: os.stat_result, path: str | Path) -> None:
    if stat.S_ISLNK(state.st_mode):
        raise OSError(errno.ELOOP, "it is a link, which is not followed", os.fspath(path))
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
