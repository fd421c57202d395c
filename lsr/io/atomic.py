"""Atomic writes: a file or folder appears at its path complete and durable, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lsr.io.folder import FileAt, file_at

READABLE_BY_ALL, PRIVATE = 0o666, 0o600
"""Permissions of new files, before the user's umask."""


@contextmanager
def atomic_file(target: Path | FileAt, *, permissions: int = READABLE_BY_ALL) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `target` at the end of the `with` block.

    The data is written to a new file in the same folder, whose name nobody can guess or link elsewhere, flushed to
    the disk, and renamed; then the folder is flushed too. A link at `target` is replaced, never followed. An exception
    in the block removes the new file and leaves `target` as it was.

    Args:
        target: the file to write; the folder of a path is created where it is missing.
        permissions: mode bits of the file, before the umask (default: readable by all).

    Raises OSError where the file can't be written.
    """
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
    place = file_at(target)
    temporary = place.beside(_hidden(place.name))
    file = temporary.create(permissions=permissions)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(place.name)
    except BaseException:
        with suppress(OSError):
            temporary.remove(missing_ok=True)
        raise
    place.folder.sync()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Create an empty folder that becomes `path` at the end of the `with` block.

    All files in it are flushed to the disk before the rename. Where another process has created `path` in the
    meantime, that folder stays and this one is removed. An exception in the block removes the new folder.

    Raises OSError where the folder can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        sync_tree(temporary)
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync(path.parent)


def sync_tree(folder: Path) -> None:
    """Flush all files and folders below `folder`, and the folder itself, to the disk."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            file = Path(root) / name
            if file.is_file() and not file.is_symlink():
                sync(file)
        sync(Path(root))


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    """Return an unused name in the same folder."""
    return path.with_name(_hidden(path.name))


def _hidden(name: str) -> str:
    """Return an unused, hidden name that nobody can guess, within the limit of file names."""
    return f".{name[:64]}.{secrets.token_hex(8)}.tmp"
