"""Compressions of files: gzip, bzip2, xz and zstandard, with a bound on what comes out of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from typing import Any, BinaryIO, cast

from lsr.indexer.corpus.intake import FileBrokenError, MissingLibraryError

COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstandard"}
"""Names of the compressions by their suffix."""

_SHORT_SUFFIXES = {
    ".tgz": (".tar", ".gz"), ".tbz2": (".tar", ".bz2"), ".tbz": (".tar", ".bz2"), ".txz": (".tar", ".xz"),
    ".tzst": (".tar", ".zst"),
}  # fmt: skip

MAX_EXPANSION = 250
FREE_BYTES = 1 << 30
"""Limits of what a file unpacks to: 250 times its size, or FREE_BYTES. Beyond, it is taken for a bomb."""

DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError)
"""Errors of the libraries for damaged data. OSError is bzip2's."""


def uncompressed_name(name: str) -> tuple[str, str]:
    """Return a name, in lower case, without the suffix of a compression, and that suffix or ""."""
    for suffix, (end, compression) in _SHORT_SUFFIXES.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix) + end, compression
    for suffix in COMPRESSIONS:
        if name.endswith(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


class _Bounded(io.RawIOBase):
    """A decompressing stream that refuses to expand without bound."""

    def __init__(self, stream: Any, limit: int, name: str) -> None:
        super().__init__()
        self._stream = stream
        self._left = limit
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        try:
            data = self._stream.read(len(view))
        except OSError as error:
            if error.errno is not None or isinstance(error, gzip.BadGzipFile):
                raise
            raise EOFError(str(error)) from None  # bzip2's word for damaged data
        self._left -= len(data)
        if self._left < 0:
            raise FileBrokenError(
                f"the {self._name} file unpacks to over {MAX_EXPANSION} times its size and {FREE_BYTES >> 30} GiB:"
                " unpack it yourself if it is sound"
            )
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def decompressed(stream: BinaryIO, suffix: str, size_bytes: int, buffer_bytes: int) -> BinaryIO:
    """Return the unpacked bytes of a stream, read as they are asked for.

    suffix: of the compression. size_bytes: size of the compressed file. Raises MissingLibraryError; while reading one
    of DAMAGE for damaged data, FileBrokenError for data that unpacks to too much.
    """
    unpacked: Any
    match suffix:
        case ".gz":
            unpacked = gzip.GzipFile(fileobj=stream, mode="rb")
        case ".bz2":
            unpacked = bz2.BZ2File(stream)
        case ".xz":
            unpacked = lzma.LZMAFile(stream)
        case _:
            unpacked = _Zstandard(stream)
    bounded = _Bounded(unpacked, size_bytes * MAX_EXPANSION + FREE_BYTES, COMPRESSIONS[suffix])
    return cast("BinaryIO", io.BufferedReader(bounded, buffer_bytes))


class _Zstandard:
    """A zstandard stream. The library's own reader would take data that are cut off for the end of the stream."""

    _PIECE = 4096  # which unpacks to 128 MiB at most

    def __init__(self, stream: BinaryIO) -> None:
        try:
            import zstandard
        except ImportError:
            raise MissingLibraryError("zstandard") from None
        self._library = zstandard
        self._stream = stream
        self._frame: Any = None
        self._input = b""
        self._pending = memoryview(b"")

    def close(self) -> None:
        """Leave the stream to its opener."""
        self._pending = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._pending:
            self._input = self._input or self._stream.read(self._PIECE)
            if not self._input:
                if self._frame is not None:
                    raise EOFError("its last frame has no end")
                return b""
            self._pending = memoryview(self._unpacked())
        data = bytes(self._pending[:size])
        self._pending = self._pending[size:]
        return data

    def _unpacked(self) -> bytes:
        if self._frame is None:
            self._frame = self._library.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        try:
            data: bytes = self._frame.decompress(self._input)
        except self._library.ZstdError as error:
            raise EOFError(str(error)) from None
        self._input = b""
        if self._frame.eof:
            self._input, self._frame = self._frame.unused_data, None
        return data
