"""The user's cache: files that this program can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_home() -> Path:
    """Return the user's cache of this program: $LSR_CACHE, else `lsr` in $XDG_CACHE_HOME or ~/.cache."""
    home = os.environ.get("LSR_CACHE")
    return Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "lsr"
