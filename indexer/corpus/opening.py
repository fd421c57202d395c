"""Opening a file as a stream of UTF-8 bytes, whatever its compression and its UTF."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import IO, Any, BinaryIO, TextIO, cast

from lsr.indexer.corpus.compression import COMPRESSIONS, DAMAGE, decompressed
from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES, SourceFile
from lsr.indexer.corpus.intake import FileBrokenError, FileSkippedError
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.io.plain_file import open_plain

_BUFFER_BYTES = 256 << 10
_REMOTE_BUFFER_BYTES = 4 << 20
"""Bytes of a request to a store."""
_HEAD_BYTES = 64 << 10
# UTF-16 of Latin text is half NULs; a text with some stray ones is still a text.
_MAX_NUL_SHARE = 0.4
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class _CountingFile(io.FileIO):
    """A file that adds the bytes read of it to the report's bytes_done."""

    def __init__(self, path: str, report: CorpusReport) -> None:
        super().__init__(path, "rb", opener=lambda name, _: open_plain(name))
        self._report = report

    def readinto(self, buffer: object) -> int:
        count = super().readinto(buffer) or 0  # type: ignore[arg-type]
        self._report.bytes_done += count
        return count


class _CountingStream(io.RawIOBase):
    """A stream from elsewhere, whose bytes are added to the report's bytes_done as they are read."""

    def __init__(self, stream: IO[bytes], report: CorpusReport) -> None:
        super().__init__()
        self._stream: Any = stream
        self._report = report

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def readinto(self, buffer: object) -> int:
        count = self._stream.readinto(buffer) or 0
        self._report.bytes_done += count
        return int(count)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class _Transcoded(io.RawIOBase):
    """The UTF-8 bytes of a stream in another UTF."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        super().__init__()
        self._characters = io.TextIOWrapper(stream, encoding, newline="")
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if not self._pending:
            self._pending = self._characters.read(_BUFFER_BYTES).encode("utf-8", "replace")
        count = min(len(view), len(self._pending))
        view[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._characters.detach()  # else it would close the stream, which is its opener's to close
        super().close()


@contextmanager
def opened(source: SourceFile, report: CorpusReport) -> Iterator[BinaryIO]:
    """Open the bytes of a source, decompressed.

    Within the block, what goes wrong below (no permission, compressed data that are cut off or damaged) is raised as
    FileSkippedError or FileBrokenError.
    """
    try:
        with _buffered(source, report) as stream:
            if source.compression:
                with decompressed(stream, source.compression, source.size_bytes, _BUFFER_BYTES) as unpacked:
                    yield unpacked
            else:
                yield stream
    except DAMAGE as error:
        name = COMPRESSIONS.get(source.compression, "compressed")
        raise FileBrokenError(f"the {name} file is damaged or cut off: {error}") from None
    except UnicodeDecodeError as error:
        raise FileBrokenError(f"not {error.encoding.upper()} to its end: {error.reason}") from None
    except OSError as error:
        raise FileSkippedError(Reason.UNREADABLE, error.strerror or str(error)) from None


def _buffered(source: SourceFile, report: CorpusReport) -> io.BufferedReader:
    if source.reopen is None:
        return io.BufferedReader(_CountingFile(str(source.path), report), _BUFFER_BYTES)
    return io.BufferedReader(_CountingStream(source.reopen(), report), _REMOTE_BUFFER_BYTES)


@contextmanager
def opened_utf8(source: SourceFile, report: CorpusReport) -> Iterator[BinaryIO]:
    """Open a source as UTF-8 bytes without a byte order mark; UTF-16 and UTF-32 with a mark are converted.

    Raises FileSkippedError where the file's head is neither; later bytes are for the reader to check.
    """
    with opened(source, report) as stream:
        head = cast("io.BufferedReader", stream).peek(_HEAD_BYTES)[:_HEAD_BYTES]
        mark, encoding = _marked_encoding(head)
        if encoding == "utf-8":
            _check_head(head)
            stream.read(len(mark))
            yield stream
        else:
            with io.BufferedReader(_Transcoded(stream, encoding), _BUFFER_BYTES) as converted:
                yield cast("BinaryIO", converted)


@contextmanager
def opened_text(source: SourceFile, report: CorpusReport) -> Iterator[TextIO]:
    """Open a source as text, its line ends as they are; otherwise as `opened_utf8`."""
    with opened_utf8(source, report) as stream:
        text = io.TextIOWrapper(stream, "utf-8", newline="")
        try:
            yield text
        finally:
            text.detach()


def read_whole(source: SourceFile, report: CorpusReport) -> bytes:
    """Return all bytes of a file that is one document; raises FileSkippedError beyond MAX_DOCUMENT_BYTES."""
    with opened(source, report) as stream:
        pieces = iter(partial(stream.read, _BUFFER_BYTES), b"")
        data = b"".join(islice(pieces, MAX_DOCUMENT_BYTES // _BUFFER_BYTES + 1))
    if len(data) > MAX_DOCUMENT_BYTES:
        raise FileSkippedError(Reason.TOO_LARGE, f"over {MAX_DOCUMENT_BYTES >> 20} MiB: split it")
    return data


def decoded(data: bytes, *, declared: str | None = None) -> str:
    """Return the text of a whole file: UTF-8, or the encoding of its byte order mark, or the declared one.

    Line ends become `\\n`. Raises FileSkippedError where it is none of these.
    """
    mark, encoding = _marked_encoding(data)
    try:
        text = data[len(mark) :].decode() if encoding == "utf-8" else data.decode(encoding)
    except UnicodeDecodeError as error:
        try:
            text = data.decode(declared or "ascii")
        except (UnicodeError, LookupError):
            raise _not_utf8(error) from None
    if not mark:
        _check_nuls(data[:_HEAD_BYTES])
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _marked_encoding(head: bytes) -> tuple[bytes, str]:
    return next(((mark, encoding) for mark, encoding in _MARKS if head.startswith(mark)), (b"", "utf-8"))


def _check_head(head: bytes) -> None:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from None
    _check_nuls(head)


def _check_nuls(head: bytes) -> None:
    if head.count(0) > _MAX_NUL_SHARE * len(head):
        raise FileSkippedError(Reason.NOT_UTF8, "full of NUL bytes: binary, or UTF-16 without a byte order mark")


def _not_utf8(error: UnicodeDecodeError) -> FileSkippedError:
    return FileSkippedError(Reason.NOT_UTF8, f"{error.reason} at byte {error.start:,}")
