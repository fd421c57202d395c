"""Models that a user has loaded by name, so that an index may lead to them, and to no others.

An index may come from anybody: by a download, a clone, a share. Its manifest names the model that encodes its queries,
and opening a model by a name means to read files of that path, or to ask the hub for it. So a recorded model is opened
only if it is bundled, or if this user has loaded that very model (its name and revision) before. An empty file in the
user's cache, named by a digest of both, says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lsr.encoders.pretrained.hub import bundled
from lsr.errors import EncoderError
from lsr.io.cache import cache_home

FOLDER = "known-models"
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def remember(name: str, revision: str) -> None:
    """Record that this user has loaded a model. A cache that can't be written to records nothing."""
    if bundled(name) is not None:
        return
    with suppress(OSError):
        folder = cache_home() / FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_own_folder(folder):
            os.close(os.open(folder / _key(name, revision), os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))


def is_known(name: str, revision: str) -> bool:
    """Return whether a model is bundled, or was loaded by this user in this revision."""
    if bundled(name) is not None:
        return True
    folder = cache_home() / FOLDER
    try:
        return _is_own_folder(folder) and _is_own(os.lstat(folder / _key(name, revision)), stat.S_ISREG)
    except OSError:
        return False


def recorded_place(
    description: Mapping[str, Any], moved_to: str | Path | None, option: str
) -> tuple[str | Path, str | None]:
    """Return where the model of a description is, and the revision to ask the hub for (None for a folder).

    moved_to: the place that the user names. option: of the command line, which names it. Raises EncoderError, before
    anything is opened, for a model that this user hasn't loaded before, and for a folder that is gone.
    """
    if moved_to is not None:
        return moved_to, None
    name, revision = str(description["name"]), str(description["revision"])
    if not is_known(name, revision):
        raise EncoderError(
            f"the index names the model {name!r}, revision {revision:.19}, which you haven't loaded before, and an "
            f"index from elsewhere may name anything: if you trust it, name it yourself with {option} {name}"
        )
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise EncoderError(
            f"the index was made with the model in {name}, which isn't there any more: say with {option} where it is "
            "now; what it holds is compared"
        )
    return name, None if revision.startswith("sha256:") else revision


def _key(name: str, revision: str) -> str:
    return hashlib.sha256(json.dumps([name, revision]).encode()).hexdigest()


def _is_own_folder(folder: Path) -> bool:
    return _is_own(os.lstat(folder), stat.S_ISDIR)


def _is_own(state: os.stat_result, is_kind: Any) -> bool:
    return bool(is_kind(state.st_mode)) and state.st_uid == os.geteuid() and not state.st_mode & _WRITABLE_BY_OTHERS
