"""A warning before kernels are compiled, which takes a while, once after an installation."""

from __future__ import annotations

import logging

SEARCH, BUILD = "search_segments", "split_range"
"""Kernels that searches and builds compile first."""

log = logging.getLogger("lsr")


def note_of_compiling(*kernels: str, what: str = "") -> str | None:
    """Return what to say before one of some kernels is compiled, None where all were compiled before.

    what: what they are for, said in the note.
    """
    from lsr.kernels.jit.compile import cache_folder, is_kept

    folder = cache_folder()
    if folder is not None and all(any(folder.rglob(f"*.{kernel}-*.nbc")) for kernel in kernels):
        return None
    begin = f"compiling{what and f' {what}'}"
    if is_kept(folder):
        return f"{begin}, which happens once after an installation and takes some seconds"
    if folder is not None and any(folder.iterdir()):
        lacking = "the kernel cache lacks some kernels, and can't be written; set LSR_CACHE to a folder of yours"
        return f"{begin}, which takes some seconds: {lacking}"
    return f"{begin}, which takes some seconds"


_looked_for: set[str] = set()
_warned: dict[str, object] = {}


def warn_before_compiling(*kernels: str, what: str = "") -> None:
    """Log a warning where some kernels are about to be compiled, once a process. Arguments: of `note_of_compiling`."""
    if _warned or _looked_for.issuperset(kernels):
        return
    message = note_of_compiling(*kernels, what=what)
    _looked_for.update(kernels)
    # Atomic, without a lock that a fork could leave held: one of several threads is the first.
    mine = object()
    if message is not None and _warned.setdefault("by", mine) is mine:
        log.warning(message)
