"""Folders of compiled kernels that earlier versions left: those that nobody has used for long are removed."""

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
"""Of folders used in that time, so many that were used last."""
_NAME = re.compile(r"kernels-[0-9a-f]{16}|removed-[0-9a-f]{16}")


def note_use(folder: Path) -> None:
    """Note in a folder's time that it is in use."""
    with suppress(OSError):
        os.utime(folder)


def forget_unused(used: Path) -> None:
    """Remove the folders beside `used` that no process has begun to use for UNUSED_S, or that more than KEPT outlast.

    Only folders of this user, named as ours are. A process that has one of them open goes on: what it has loaded stays
    in memory, and Numba makes the folder anew if it compiles more. A folder gets another name before it is removed,
    so that nobody finds half of it. Errors are passed over: another process may be at the same.
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
