"""Freed memory given back to the system, so that encoding needs no more of it the more documents there are."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc
        return None
    return trim


def give_back() -> None:
    """Return to the system what was freed.

    Batches of ever other shapes leave holes in the C library's heap, which so grew by half a megabyte a document;
    closing them after each batch costs a hundredth of the time. (Mapping large blocks one by one costs a quarter.)
    Arrow's heap is another one, where it is loaded.
    """
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)
