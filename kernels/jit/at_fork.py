"""Forks beside threads that compile: the locks of numba and llvmlite are held, so that a child finds them free."""

from __future__ import annotations

import os
from typing import Any


def hold_compilers() -> None:
    """Let every fork wait for a compilation that another thread is at; the child starts with a sound compiler."""
    from llvmlite.binding import ffi
    from numba.core.compiler_lock import global_compiler_lock

    # The order in which a compilation takes them. That of llvmlite has no public name.
    found = (global_compiler_lock, getattr(ffi.lib, "_lock", None))
    locks: list[Any] = [lock for lock in found if hasattr(lock, "__enter__")]

    def hold() -> None:
        for lock in locks:
            lock.__enter__()

    def release() -> None:
        for lock in reversed(locks):
            lock.__exit__(None, None, None)

    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=release)
