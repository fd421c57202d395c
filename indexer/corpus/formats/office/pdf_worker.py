"""Process that reads PDFs for `pdf`, within limits of processor time and memory; started by that module alone.

Request on stdin: the size of a file in 8 bytes, and the file. Replies on stdout, one JSON array a line: `["begin"]`,
`["page", text]` for each page, then `["end", title, author]`, or one of `["encrypted", why]`, `["pages", count]` and
`["broken", why]`.
"""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterator
from typing import Any

MAX_PAGES = 20_000


def main() -> int:
    """Answer requests until stdin ends. Arguments: seconds a page, seconds a document, bytes of memory."""
    page_seconds, document_seconds, memory_bytes = map(int, sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, memory_bytes)
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its warnings tell of files, not of what to do
    while header := sys.stdin.buffer.read(8):
        data = sys.stdin.buffer.read(*struct.unpack("<Q", header))
        last = _processor_seconds() + document_seconds
        for reply in _replies(data):
            replies.write(json.dumps(reply) + "\n")
            replies.flush()
            _limit(resource.RLIMIT_CPU, min(_processor_seconds() + page_seconds, last))
    return 0


def _replies(data: bytes) -> Iterator[list[Any]]:
    """Yield the replies for a file; the first, `["begin"]`, starts the clock."""
    import pypdf

    yield ["begin"]
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            yield ["encrypted", "it needs a password"]
            return
        if len(reader.pages) > MAX_PAGES:
            yield ["pages", len(reader.pages)]
            return
        for page in reader.pages:
            yield ["page", page.extract_text()]
        about: Any = reader.metadata or {}
        yield ["end", *(str(about.get(name) or "") for name in ("/Title", "/Author"))]
    except ImportError as error:  # of the library for its encryption
        yield ["encrypted", _one_line(error)]
    except MemoryError:
        yield ["broken", "reading it takes too much memory"]
    except Exception as error:  # noqa: BLE001  pypdf raises nearly anything for damaged files
        yield ["broken", _one_line(error)]


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _processor_seconds() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return int(used.ru_utime + used.ru_stime) + 1


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


if __name__ == "__main__":
    sys.exit(main())
