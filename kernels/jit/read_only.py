"""Temporary folders of compiled kernels, for a process that has no cache or one that it can only read."""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

TEMPORARY = "lsr-kernels-"
"""Beginning of the names of temporary folders."""


def others_can_write(folder: Path) -> bool:
    """Say whether other users could put another folder in the place of one that is in this.

    A sticky folder, as /tmp, keeps them from it. A group of the user alone has the user's number.
    """
    state = folder.stat()
    return not _is_ours(state) and not (state.st_uid in (0, os.getuid()) and state.st_mode & stat.S_ISVTX)


def _is_ours(state: os.stat_result) -> bool:
    """Tell whether only this user and root may write to a file or folder."""
    by_group = state.st_mode & stat.S_IWGRP and state.st_gid not in (0, os.getuid())
    return state.st_uid in (0, os.getuid()) and not (state.st_mode & stat.S_IWOTH or by_group)


def can_be_trusted(folder: Path) -> bool:
    """Tell whether a folder can be read, and only this user and root could have written there."""
    try:
        state = folder.lstat()
        is_readable = os.access(folder, os.R_OK | os.X_OK)
        above = folder.resolve().parents
        return stat.S_ISDIR(state.st_mode) and _is_ours(state) and is_readable and not any(map(others_can_write, above))
    except OSError:
        return False


def temporary_folder(*, links_to: Path | None = None) -> Path | None:
    """Make a folder that is removed when this process ends; None where none can be made.

    links_to: cache whose files are linked in it. What Numba compiles replaces links by files.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY))
    except OSError:
        return None
    atexit.register(_remove, folder, os.getpid())
    if links_to is not None:
        with suppress(OSError):  # what can't be linked is compiled
            _link(links_to, folder)
    return folder


def _link(cache: Path, folder: Path) -> None:
    for path in cache.rglob("*"):
        state = path.lstat()
        if stat.S_ISREG(state.st_mode) and _is_ours(state) and can_be_trusted(path.parent):
            link = folder / path.relative_to(cache)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.absolute())


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process leaves it to its parent
        shutil.rmtree(folder, ignore_errors=True)
