"""Files mapped into memory, read-only, without a descriptor that stays open for each.

A process may have some hundred descriptors, and an index with many segments has more files than that. Python's `mmap`
keeps a copy of the descriptor; from Python 3.13 on an argument prevents that, and before that the system's call is made
here.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from functools import cache
from typing import Any

_PROT_READ, _MAP_SHARED, _DONT_NEED = 1, 1, 4
_FAILED = ctypes.c_void_p(-1).value


def map_file(descriptor: int) -> memoryview:
    """Return the bytes of a file, read-only, of which at least one is there. The descriptor may be closed afterwards.

    They are mapped as long as something refers to them. Raises OSError.
    """
    size_bytes = os.fstat(descriptor).st_size
    if sys.version_info >= (3, 13):
        return memoryview(mmap.mmap(descriptor, size_bytes, access=mmap.ACCESS_READ, trackfd=False))
    if size_bytes == 0:
        raise ValueError("cannot mmap an empty file")
    libc = _libc()
    address = libc.mmap(None, size_bytes, _PROT_READ, _MAP_SHARED, descriptor, 0)
    if address is None or address == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    content = (ctypes.c_char * size_bytes).from_address(address)
    # Not at the end of the process, when something else may still refer to it.
    weakref.finalize(content, libc.munmap, address, size_bytes).atexit = False
    content.is_mapped = True  # type: ignore[attr-defined]
    return memoryview(content).cast("B").toreadonly()


def forget_pages_of(content: Any) -> None:
    """Give back the memory of a mapped file's pages, if `content` is what a view of `map_file` refers to."""
    if isinstance(content, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        content.madvise(mmap.MADV_DONTNEED)
    elif getattr(content, "is_mapped", False):  # of other memory the content would be lost
        _libc().madvise(ctypes.addressof(content), ctypes.sizeof(content), _DONT_NEED)


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64,
    ]  # fmt: skip
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc
