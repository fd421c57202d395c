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
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import njit

from lsr.kernels.jit.at_fork import hold_compilers
from lsr.kernels.jit.cache import forget_unused, note_use
from lsr.kernels.jit.read_only import TEMPORARY, can_be_trusted, others_can_write, temporary_folder

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
    return is_ours and os.access(folder, os.W_OK) and not any(map(others_can_write, folder.resolve().parents))


@cache
def cache_folder() -> Path | None:
    """Return the folder of compiled kernels: in $LSR_CACHE, else the user's cache, else made for this process.

    A new folder means that a new version is installed: then old folders are removed (`lsr.kernels.jit.cache`). One that
    can only be read is used through links in a temporary folder. None: not even that can be made.
    """
    sources = sorted(Path(__file__).parents[1].rglob("*.py"))
    versions = [numba.__version__, np.__version__, platform.python_version()]
    # Numba's cache would also mix code compiled with checks of bounds and without.
    parts = [*versions, str(numba.config.BOUNDSCHECK), *(p.read_text("utf-8") for p in sources)]
    name = "kernels-" + hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
    base = _base()
    if base is not None:
        folder = base / name
        is_new = not folder.is_dir()
        if _is_private(folder):
            note_use(folder)
            if is_new:
                forget_unused(folder)
            return folder
        if can_be_trusted(folder) and any(folder.rglob("*.nbc")):
            return temporary_folder(links_to=folder)
    why = "there is no home folder" if base is None else f"{base} can't be written, or others can write there"
    log.warning(f"{why}: kernels are compiled again for this process; set LSR_CACHE to a folder of yours")
    return temporary_folder()


def _base() -> Path | None:
    """Return the folder of this program's caches, None without a home folder."""
    home = os.environ.get("LSR_CACHE")
    if home:
        return Path(home)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "lsr"
    except RuntimeError:  # neither HOME nor an entry in the list of users
        return None


def is_kept(folder: Path | None) -> bool:
    """Tell whether what is compiled into a cache folder outlives this process."""
    return folder is not None and not folder.name.startswith(TEMPORARY)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call: no interpreter lock, never parallel inside, cached on disk."""
    folder = cache_folder()
    if folder is None:
        return njit(nogil=True)(function)
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        return njit(nogil=True, cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before
