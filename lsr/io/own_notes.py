"""Notes kept as empty files in the user's cache; the name of a file is the note.

Only notes in a folder that belongs to the user, and that nobody else may write to, count.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lsr.errors import LsrError
from lsr.io.cache import cache_home

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def note(subject: str, *facts: str) -> None:
    """Keep a note. subject: name of its folder. A cache that can't be written to keeps none."""
    with suppress(OSError, LsrError):
        folder = cache_home() / subject
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_own(folder, stat.S_ISDIR):
            os.close(os.open(folder / _name_of(facts), os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))


def is_noted(subject: str, *facts: str) -> bool:
    """Return whether `note` was called with the same."""
    try:
        folder = cache_home() / subject
        return _is_own(folder, stat.S_ISDIR) and _is_own(folder / _name_of(facts), stat.S_ISREG)
    except (OSError, LsrError):
        return False


def _name_of(facts: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _is_own(path: Path, is_kind: Callable[[int], bool]) -> bool:
    state = os.lstat(path)
    return is_kind(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & _WRITABLE_BY_OTHERS
