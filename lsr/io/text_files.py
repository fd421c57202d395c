"""Lines of text in, whole files out: what every reader and writer of this floor shares."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from lsr.errors import LsrError


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 file, `.gz` or plain; blank lines are passed over.

    Raises LsrError where the file is missing, isn't UTF-8 or is a broken archive, with file and line.
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
    """Give a text file to write, which takes the place of `path` only once it is complete; `.gz` is compressed.

    Raises LsrError where the folder can't be written to; what stood at `path` then stands there still.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        # mkstemp makes a private file; a result is as readable as any file the user makes.
        os.fchmod(handle, 0o666 & ~_umask())
        with os.fdopen(handle, "wb") as raw:
            if path.suffix == ".gz":
                with gzip.open(raw, "wt", encoding="utf-8", newline="\n") as text:
                    yield cast(TextIO, text)
            else:
                with open(raw.fileno(), "w", encoding="utf-8", newline="\n", closefd=False) as text:
                    yield text
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise LsrError(f"{path}: can't be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
