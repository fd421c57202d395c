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

_PROT_READ, _MAP_SHARED = 1, 1
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
    _mapped[address] = size_bytes
    # Not at the end of the process, when something else may still refer to it.
    weakref.finalize(content, _unmap, address, size_bytes).atexit = False
    return memoryview(content).cast("B").toreadonly()


def forget_pages_of(owner: object) -> None:
    """Give back the memory of a mapped file's pages. owner: what a view of the file refers to; others are left."""
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    if isinstance(owner, mmap.mmap):
        owner.madvise(mmap.MADV_DONTNEED)
    elif isinstance(owner, ctypes.Array):
        address = ctypes.addressof(owner)
        if _mapped.get(address) == len(owner):
            _libc().madvise(address, len(owner), mmap.MADV_DONTNEED)


def _unmap(address: int, size_bytes: int) -> None:
    del _mapped[address]  # before another file can get the place
    _libc().munmap(address, size_bytes)


_mapped: dict[int, int] = {}
"""Sizes of what is mapped here, by address."""


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
