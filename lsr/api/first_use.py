"""A warning before kernels are compiled, which takes a while, once after an installation."""

from __future__ import annotations

import logging
from functools import cache

SEARCH, BUILD = "search_segments", "split_range"
"""Kernels that searches and builds compile first."""

logger = logging.getLogger("lsr")


def note_of_compiling(kernel: str) -> str | None:
    """Return what to say before a kernel is compiled, None where it was compiled before."""
    from lsr.kernels.jit.compile import cache_folder, is_kept

    folder = cache_folder()
    if folder is not None and any(folder.rglob(f"*.{kernel}-*.nbc")):
        return None
    if is_kept(folder):
        return "compiling, which happens once after an installation and takes some seconds"
    if folder is not None and any(folder.iterdir()):
        lacking = "the kernel cache lacks some kernels, and can't be written; set LSR_CACHE to a folder of yours"
        return f"compiling, which takes some seconds: {lacking}"
    return "compiling, which takes some seconds"


@cache
def warn_before_compiling(kernel: str) -> None:
    """Log a warning, once a process, where a kernel is about to be compiled."""
    message = note_of_compiling(kernel)
    if message is not None:
        logger.warning(message)
