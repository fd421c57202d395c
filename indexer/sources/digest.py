"""Digests of files, which tell a changed file from one that was touched only."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

LARGEST_BYTES = 64 << 20
"""Size up to which files have a digest: a larger one counts as changed when its time is another."""
_LENGTH = 16


def digest_of(path: str | Path) -> bytes:
    """Return the digest of a file's content, empty for one that can't be read."""
    try:
        # Without waiting: what was a file may be a pipe now.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return b""
            return hashlib.file_digest(file, "sha256").digest()[:_LENGTH]
    except OSError:
        return b""
