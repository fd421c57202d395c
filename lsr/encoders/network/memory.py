"""What keeps the memory of encoding from growing with the corpus, beside its way through windows and shards."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache

KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""By these names oneDNN, and torch's own layer above it, ask how many kernels they keep."""

MAX_KERNELS = 64
"""More than a batch needs."""


def limit_kernels() -> None:
    """Let the libraries that torch multiplies with on a CPU keep few kernels, unless the environment says how many.

    They make one for each shape, of up to megabytes in bfloat16, and by themselves keep 1,024 each: batches are of ever
    other shapes, so memory grew over tens of thousands of documents. They ask while torch is being loaded, and never
    again: so importing `lsr.encoders` does this, which has no effect where torch was imported before.
    """
    for name in KERNEL_CACHES:
        os.environ.setdefault(name, str(MAX_KERNELS))


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
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)
