"""Removal of folders of compiled kernels that earlier versions left and that are no longer used."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

UNUSED_S = 30 * 24 * 3600
KEPT = 16
"""The number of folders used in that time that are kept, the last used ones."""
_NAME = re.compile(r"kernels-[0-9a-f]{16}|removed-[0-9a-f]{16}")


def note_use(folder: Path) -> None:
    """Set a folder's modification time to now: it is in use."""
    with suppress(OSError):
        os.utime(folder)


def forget_unused(used: Path) -> None:
    """Remove the folders beside `used` that were unused for UNUSED_S, and all but the KEPT last used ones.

    Only folders of this user, with names like ours. A process that has one of them open continues: loaded code stays
    in memory, and Numba makes the folder again if it compiles more. A folder is renamed before it is removed, so that
    no process finds half of it. Errors are ignored: another process may remove the same folders.
    """
    mine = []
    with suppress(OSError), os.scandir(used.parent) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name) and entry.name != used.name and entry.is_dir(follow_symlinks=False):
                state = entry.stat(follow_symlinks=False)
                if state.st_uid == os.getuid():
                    mine.append((state.st_mtime, entry.name))
    mine.sort(reverse=True)
    for rank, (last_used, name) in enumerate(mine, start=1):
        if rank > KEPT - 1 or last_used < time.time() - UNUSED_S or name.startswith("removed-"):
            new = used.parent / f"removed-{secrets.token_hex(8)}"
            with suppress(OSError):
                (used.parent / name).rename(new)
                shutil.rmtree(new, ignore_errors=True)
