"""Standard input as a file: `-` among the paths."""

from __future__ import annotations

import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

from lsr.errors import UsageError

STANDARD_INPUT = Path("-")
DOC_ID = "stdin"


@cache
def spooled_input() -> Path:
    """Return a temporary file with all of standard input, which is read once; it goes when the process ends.

    A corpus may be read several times. Raises UsageError for a terminal.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("- stands for standard input, but nothing is piped in: cat notes.txt | lsr index -")
    return Path(_copied().name)


@cache
def _copied() -> tempfile._TemporaryFileWrapper[bytes]:
    file = tempfile.NamedTemporaryFile(prefix="lsr-stdin-")
    shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    file.flush()
    return file


def looks_like_jsonl(path: Path) -> bool:
    """Tell whether a file begins as an object of JSON."""
    with path.open("rb") as file:
        return file.read(1 << 16).lstrip().startswith(b"{")
