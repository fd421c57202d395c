"""A warning before kernels are compiled, which takes a while, once after an installation."""

from __future__ import annotations

import logging
from functools import cache

COMPILING = "compiling, which happens once after an installation and takes some seconds"
SEARCH, BUILD = "search_segments", "split_range"
"""Kernels that searches and builds compile first."""

logger = logging.getLogger("lsr")


def needs_compiling(kernel: str) -> bool:
    """Tell whether a kernel has never been compiled on this machine."""
    from lsr.kernels.jit.compile import cache_folder

    return not any(cache_folder().rglob(f"*.{kernel}-*.nbc"))


@cache
def warn_before_compiling(kernel: str) -> None:
    """Log a warning, once a process, where a kernel is about to be compiled."""
    if needs_compiling(kernel):
        logger.warning(COMPILING)
