"""Files that are whole or not there: synced writes with checksums, and arrays opened by mmap after checks."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError

CHUNK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What the manifest says of a file: its size and the CRC-32 of its content."""

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
        """Flush to the operating system."""
        self._file.flush()

    @property
    def info(self) -> FileInfo:
        """Size and checksum of what was written so far."""
        return FileInfo(self.size_bytes, self.crc32)


@contextmanager
def new_file(path: Path) -> Iterator[ChecksummedFile]:
    """Open a file that must not exist yet; on leaving, it is synced to the disk."""
    with path.open("xb") as file:
        yield ChecksummedFile(file)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save_array(path: Path, array: npt.NDArray[Any]) -> FileInfo:
    """Write an array as `.npy`, format version 1.0, synced."""
    array = np.ascontiguousarray(array)
    with new_file(path) as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        if array.size:
            file.write(array.data)
    return file.info


def map_array(path: Path, dtype: npt.DTypeLike, ndim: int) -> npt.NDArray[Any]:
    """Open a `.npy` file by mmap, read-only, after checking its header against its size.

    Raises IndexDamagedError for a missing, cut or foreign file, or another dtype or number of axes.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"npy version {version}")
            shape, fortran, found = np.lib.format.read_array_header_1_0(file)
            offset = file.tell()
            size_bytes = os.fstat(file.fileno()).st_size
    except (OSError, ValueError, EOFError) as error:
        raise IndexDamagedError(f"{path}: not a readable array ({error})") from error
    if fortran or found != np.dtype(dtype) or len(shape) != ndim:
        raise IndexDamagedError(f"{path}: holds {found} {shape}, not {np.dtype(dtype)} of {ndim} axes")
    count = int(np.prod(shape, dtype=np.int64))
    if offset + count * found.itemsize != size_bytes:
        raise IndexDamagedError(
            f"{path}: {size_bytes} bytes, but its header speaks of {offset + count * found.itemsize}"
        )
    if count == 0:
        return np.empty(shape, found)
    return np.asarray(np.memmap(path, found, "r", offset, shape))


def checksum(path: Path) -> FileInfo:
    """Read a whole file and return its size and CRC-32."""
    crc, size = 0, 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
    return FileInfo(size, crc)
