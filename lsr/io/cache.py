"""The user's cache: files that this program can make again."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from lsr.errors import LsrError


def cache_home() -> Path:
    """Return the user's cache of this program: $LSR_CACHE, else `lsr` in $XDG_CACHE_HOME or ~/.cache.

    Without a home folder it is a folder of the user's in that of temporary files, which only the user may enter. Raises
    LsrError where that belongs to another user.
    """
    home = os.environ.get("LSR_CACHE")
    if home:
        return Path(home)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "lsr"
    except RuntimeError:  # neither HOME nor an entry in the list of users
        return _without_home()


def _without_home() -> Path:
    folder = Path(tempfile.gettempdir()) / f"lsr-cache-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise LsrError(f"there is no home folder, and {folder} can be changed by others: set LSR_CACHE to your own")
    return folder


def expanded(path: str | Path) -> Path:
    """Return a path whose `~` is a home folder; unchanged where there is no such user or home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
