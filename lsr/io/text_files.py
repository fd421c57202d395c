"""Text files: numbered lines of one, and one that is written completely or not at all."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from lsr.errors import LsrError
from lsr.io.atomic import atomic_file


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each line of a UTF-8 file with its number, without its end; `.gz` is decompressed, blank lines are skipped.

    Numbers count from 1. Raises LsrError where the file is missing, isn't UTF-8 or is a broken archive, with file and
    line.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            opened = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
            for number, line in enumerate(opened, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise LsrError(f"{path}:{number}: not UTF-8 text ({error.reason}); convert the file to UTF-8") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise LsrError(f"{path}: broken gzip file after line {number} ({error}); fetch or write it again") from error
    except OSError as error:
        raise LsrError(f"{path}: {error.strerror or error}") from error


@contextmanager
def written_whole(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 text file that replaces `path` at the end of the `with` block; `.gz` is compressed.

    Raises LsrError where it can't be written; what was at `path` before is then unchanged.
    """
    try:
        with atomic_file(path) as raw, _compressed(raw) if path.suffix == ".gz" else nullcontext(raw) as binary:
            text = io.TextIOWrapper(binary, encoding="utf-8", newline="\n")
            try:
                yield text
            finally:
                text.detach()  # which flushes it, and leaves closing to those that opened
    except OSError as error:
        raise LsrError(f"{path}: can't be written: {error.strerror or error}") from error


def _compressed(raw: BinaryIO) -> BinaryIO:
    # Without a time in it, the same text gives the same bytes.
    return cast(BinaryIO, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0))
