"""Files that are whole or not there: synced writes with checksums, and arrays opened by mmap after checks."""

from __future__ import annotations

import io
import math
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.integrity.arrow_layout import check_layout
from lsr.indexer.integrity.damage import unreadable
from lsr.indexer.integrity.mapping import forget_pages_of, map_file
from lsr.io.folder import FileAt, Folder, file_at

CHUNK_BYTES = 1 << 22
DOCUMENTS, FIELDS_FILE = "documents.arrow", "fields.arrow"
"""Files of a segment that are not arrays."""
ROWS = 1024
"""Rows of a record batch in both, fewer only in the last."""
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<|][uif][1248])', 'fortran_order': False, 'shape': \(([0-9]{1,15},(?: [0-9]{1,15})?)\), \} *\n"
)
_ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class FileInfo:
    """The size of a file and the CRC-32 of its content, as the manifest records them."""

    size_bytes: int
    crc32: int


class ChecksummedFile(io.RawIOBase):
    """A binary file being written; counts and checksums what goes through."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.size_bytes = 0
        self.crc32 = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Write bytes, or anything with a contiguous buffer; return how many bytes."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), CHUNK_BYTES):
            chunk = view[start : start + CHUNK_BYTES]
            self._file.write(chunk)
            self.crc32 = zlib.crc32(chunk, self.crc32)
        self.size_bytes += len(view)
        return len(view)

    def flush(self) -> None:
        """Flush to the operating system. When this object ends, the file below may have been closed by its owner."""
        if not self._file.closed:
            self._file.flush()

    @property
    def info(self) -> FileInfo:
        """Size and checksum of what was written so far."""
        return FileInfo(self.size_bytes, self.crc32)


@contextmanager
def new_file(path: Path | FileAt) -> Iterator[ChecksummedFile]:
    """Open a file that must not exist yet; on leaving, it is synced to the disk."""
    with file_at(path).create() as file:
        yield ChecksummedFile(file)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder durable."""
    Folder.open(folder).sync()


def save_array(path: Path | FileAt, array: npt.NDArray[Any]) -> FileInfo:
    """Write an array as `.npy`, format version 1.0, synced."""
    array = np.ascontiguousarray(array)
    with new_file(path) as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        if array.size:
            file.write(array.data)
    return file.info


def map_array(path: Path | FileAt, dtype: npt.DTypeLike, ndim: int) -> npt.NDArray[Any]:
    """Open a `.npy` file by mmap, read-only, after checking its header against its size.

    Only headers as `save_array` writes them are taken. Raises IndexDamagedError for a missing, cut or
    foreign file, or another dtype or number of axes.
    """
    try:
        with file_at(path).open() as file:
            found, shape, offset = _read_header(file)
            size_bytes = os.fstat(file.fileno()).st_size
            if found != np.dtype(dtype) or len(shape) != ndim:
                raise ValueError(f"holds {found} {shape}, not {np.dtype(dtype)} of {ndim} axes")
            expected = offset + math.prod(shape) * found.itemsize
            if expected != size_bytes:
                raise ValueError(f"{size_bytes} bytes, but its header implies {expected}")
            if 0 in shape:
                return _read_only(np.empty(shape, found))
            mapped = map_file(file.fileno())
    except OSError as error:
        raise unreadable(error, path) from error
    except ValueError as error:
        raise IndexDamagedError(f"{path}: not an array of this index ({error}); index again") from error
    return np.frombuffer(mapped, found, math.prod(shape), offset).reshape(shape)


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Make an empty array like the mapped ones: kernels are compiled for each kind of array."""
    array.flags.writeable = False
    return array


def _read_header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return dtype, shape and where the data begin; nothing of the header is evaluated."""
    start = file.read(len(_MAGIC) + 2)
    if len(start) < len(_MAGIC) + 2 or not start.startswith(_MAGIC):
        raise ValueError("its first bytes are not those of an .npy file of version 1.0")
    length = int.from_bytes(start[len(_MAGIC) :], "little")
    match = _HEADER.fullmatch(file.read(length))
    offset = len(start) + length
    if match is None or offset % _ALIGNMENT:
        raise ValueError("its header is not one that this program writes")
    return np.dtype(match[1].decode()), tuple(int(n) for n in match[2].split(b",") if n.strip()), offset


def map_bytes(path: Path | FileAt) -> memoryview | bytes:
    """Map a whole file, read-only. Raises OSError."""
    with file_at(path).open() as file:
        if os.fstat(file.fileno()).st_size == 0:  # which can't be mapped
            return b""
        return map_file(file.fileno())


def map_numbers(path: Path | FileAt, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Map a file of nothing but numbers, read-only. Raises OSError."""
    return np.frombuffer(map_bytes(path), dtype)


def forget_pages(array: npt.NDArray[Any]) -> None:
    """Give back the memory of a mapped file's pages, if an array is one.

    When they are read again, they come from the file.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    forget_pages_of(base)


def arrow_source(path: Path | FileAt) -> Any:
    """Map a file, as pyarrow reads it. Raises OSError."""
    import pyarrow as pa

    return pa.BufferReader(pa.py_buffer(map_bytes(path)))


def checked_arrow_source(path: Path | FileAt) -> Any:
    """Map an Arrow file after a look at its layout. Raises OSError; ValueError where something is compressed."""
    import pyarrow as pa

    data = map_bytes(path)
    check_layout(memoryview(data))
    return pa.BufferReader(pa.py_buffer(data))


def checksum(path: Path | FileAt, advance: Callable[[int], None] = lambda n: None) -> FileInfo:  # noqa: ARG005
    """Read a whole file and return its size and CRC-32. advance: called with the number of bytes read."""
    crc, size = 0, 0
    with file_at(path).open() as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
            advance(len(chunk))
    return FileInfo(size, crc)
