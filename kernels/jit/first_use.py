"""A warning before kernels are compiled, which takes a while, once after an installation."""

from __future__ import annotations

import logging

from lsr.io.fork_safe import ForkSafeLock

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


class _Warned:
    """The kernels that this process has looked for, and whether it has warned."""

    lock = ForkSafeLock()
    kernels: frozenset[str] = frozenset()
    has_warned = False


def warn_before_compiling(*kernels: str, what: str = "") -> None:
    """Log a warning where some kernels are about to be compiled, once a process. Arguments: of `note_of_compiling`."""
    with _Warned.lock:
        if _Warned.has_warned or _Warned.kernels.issuperset(kernels):
            return
        _Warned.kernels |= set(kernels)
        message = note_of_compiling(*kernels, what=what)
        if message is not None:
            _Warned.has_warned = True
            log.warning(message)
