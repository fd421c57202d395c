"""The decorator of all kernels: compiled without the interpreter's lock, and cached on disk.

Numba's own cache compares only the file of a function, so that it would load code compiled for another version of a
constant or of an inlined function in a neighbour. Here the cache folder's name is a digest of all kernel sources and
versions: any change begins a new folder. In it Numba's index has the name and the features of the processor that code
was compiled for. Cached code is loaded by unpickling, so the folder must be the user's own, and never that of an index.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import njit

from lsr.kernels.jit.at_fork import hold_compilers
from lsr.kernels.jit.cache import forget_unused, note_use

hold_compilers()
log = logging.getLogger(__name__)


def _is_private(folder: Path) -> bool:
    """Make the folder if it is missing; return whether only this user may write to it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.lstat()  # a link to another folder of ours is none that was made for this
    except OSError:
        return False
    is_ours = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022
    return is_ours and os.access(folder, os.W_OK) and not any(map(_others_can_write, folder.resolve().parents))


def _others_can_write(folder: Path) -> bool:
    """Say whether other users could put another folder in the place of one that is in this.

    A sticky folder, as /tmp, keeps them from it. A group of the user alone has the user's number.
    """
    state = folder.stat()
    if state.st_uid not in (0, os.getuid()):
        return True
    by_group = state.st_mode & stat.S_IWGRP and state.st_gid not in (0, os.getuid())
    return bool(state.st_mode & stat.S_IWOTH or by_group) and not state.st_mode & stat.S_ISVTX


@cache
def cache_folder() -> Path:
    """Return the folder of compiled kernels: in $LSR_CACHE, else the user's cache, else made for this process.

    A new folder means that a new version is installed: then old folders are removed (`lsr.kernels.jit.cache`).
    """
    sources = sorted(Path(__file__).parents[1].rglob("*.py"))
    versions = [numba.__version__, np.__version__, platform.python_version()]
    # Numba's cache would also mix code compiled with checks of bounds and without.
    parts = [*versions, str(numba.config.BOUNDSCHECK), *(p.read_text("utf-8") for p in sources)]
    name = "kernels-" + hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
    home = os.environ.get("LSR_CACHE")
    base = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "lsr"
    folder = base / name
    is_new = not folder.is_dir()
    if not _is_private(folder):
        log.warning(f"{base} belongs to others, or others can write there: kernels are compiled again for this process")
        return Path(tempfile.mkdtemp(prefix="lsr-kernels-"))
    note_use(folder)
    if is_new:
        forget_unused(folder)
    return folder


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call: no interpreter lock, never parallel inside, cached on disk."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder())
    try:
        return njit(nogil=True, cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before
