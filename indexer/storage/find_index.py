"""The index that nobody has named: `.lsr` here or in a folder above."""

from __future__ import annotations

import logging
import os
import pwd
from pathlib import Path

from lsr.errors import IndexMissingError, UsageError
from lsr.indexer.shards.manifest import is_set
from lsr.indexer.storage.generations import generations

log = logging.getLogger(__name__)

DEFAULT_NAME = ".lsr"


def not_a_link(path: Path) -> Path:
    """Return the path of an index that nobody has named. Raises UsageError for a link, which could lead anywhere."""
    if path.is_symlink():
        raise UsageError(f"{path} is a link: if the index that it leads to is meant, name it by --index {path}")
    return path


def find_index(start: Path, *, to_write: bool = False) -> Path:
    """Return the index folder `.lsr` in `start` or the nearest parent that has one.

    Where it belongs to another user, a warning is logged: who can write to a folder above decides what is found.
    to_write: the index will be changed. Raises IndexMissingError if no folder has one, UsageError if it is a link, or
    belongs to another user and will be changed.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if generations(folder / DEFAULT_NAME) or is_set(folder / DEFAULT_NAME):
            return _own(not_a_link(folder / DEFAULT_NAME), to_write=to_write)
    raise IndexMissingError(
        f"no index here: neither {start} nor a folder above it has {DEFAULT_NAME}; make one with 'lsr index CORPUS', "
        "or name one with --index DIR"
    )


def refuse_other_owner(path: Path) -> None:
    """Raise UsageError for an index that nobody has named, and that belongs to another user."""
    if (owner := other_owner(path)) is not None:
        raise UsageError(f"{path} belongs to {owner}: to change it, name it by --index {path}")


def other_owner(path: Path) -> str | None:
    """Return the user that an index or its folder belongs to, None where that is the present one."""
    for place in (path, path.parent):
        uid = place.lstat().st_uid
        if uid != os.geteuid() and (place == path or uid != 0):  # folders above are often the system's
            try:
                return f"the user {pwd.getpwuid(uid).pw_name}"
            except KeyError:
                return f"the user number {uid}"
    return None


def _own(path: Path, *, to_write: bool) -> Path:
    if to_write:
        refuse_other_owner(path)
    elif (owner := other_owner(path)) is not None:
        log.warning(f"using the index at {path}, which belongs to {owner}; --index DIR names another")
    return path
