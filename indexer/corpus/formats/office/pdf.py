"""PDF, one document a file, by pypdf in a process with limits: hostile pages take minutes or gigabytes."""

from __future__ import annotations

import atexit
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES, FileFormat, SourceFile
from lsr.indexer.corpus.formats.office.pdf_worker import MAX_PAGES
from lsr.indexer.corpus.formats.text import clean
from lsr.indexer.corpus.intake import FileBrokenError, FileSkippedError, Intake, MissingLibraryError
from lsr.indexer.corpus.opening import read_whole
from lsr.indexer.corpus.report import Reason
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

PAGE_SECONDS, DOCUMENT_SECONDS = 30, 600
"""Limits of processor time, for a page and for a document."""

MEMORY_BYTES = 4 << 30
PAGE_END = "\f"
"""Character between the texts of two pages."""


class _Worker:
    """The process that reads PDFs; it is started for the first, and again after one that went beyond the limits."""

    def __init__(self) -> None:
        self._is_unfinished = False
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def parts(self, data: bytes) -> Parts:
        """Return title, text and fields of a PDF. Raises FileBrokenError and FileSkippedError."""
        with self._lock:
            try:
                return self._ask(data)
            except BaseException as error:
                if not isinstance(error, FileSkippedError | FileBrokenError) or self._is_unfinished:
                    self.close()
                raise

    def _ask(self, data: bytes) -> Parts:
        self._is_unfinished = True
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        texts: list[str] = []
        size = 0
        try:
            process.stdin.write(struct.pack("<Q", len(data)) + data)
            process.stdin.flush()
        except BrokenPipeError:
            raise self._ended(process, 0) from None
        for line in process.stdout:
            kind, *values = json.loads(line)
            if kind == "page":
                texts.append(values[0])
                size += len(values[0])
                if size > MAX_DOCUMENT_BYTES:
                    raise FileSkippedError(Reason.TOO_LARGE, f"over {MAX_DOCUMENT_BYTES >> 20} MiB of text: split it")
            elif kind != "begin":
                self._is_unfinished = False
                return _parts(kind, values, texts)
        raise self._ended(process, len(texts))

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None or self._owner != os.getpid():  # a fork must not share its parent's pipes
            limits = (PAGE_SECONDS, DOCUMENT_SECONDS, MEMORY_BYTES)
            command = [sys.executable, "-P", "-m", "lsr.indexer.corpus.formats.office.pdf_worker", *map(str, limits)]
            path = os.pathsep.join(path for path in sys.path if path)
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": path},
            )  # fmt: skip
            self._owner = os.getpid()
            atexit.register(self.close)
        return self._process

    def _ended(self, process: subprocess.Popen[bytes], n_pages: int) -> FileBrokenError:
        """Return the error for a process that ended in the middle of a PDF."""
        code = process.wait()
        if code == -signal.SIGXCPU:
            limits = f"{PAGE_SECONDS} s of a processor a page, {DOCUMENT_SECONDS} s a document"
            return FileBrokenError(f"the PDF takes too long at page {n_pages + 1:,}: the limits are {limits}")
        return FileBrokenError(f"the PDF can't be read: its reader ended with code {code} at page {n_pages + 1:,}")

    def close(self) -> None:
        """End the process, if this is its parent."""
        process, self._process = self._process, None
        atexit.unregister(self.close)
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # of a request that was not sent whole


_worker = _Worker()


def _parts(kind: str, values: list[Any], texts: list[str]) -> Parts:
    if kind == "encrypted":
        raise FileSkippedError(Reason.NO_TEXT, f"encrypted: {values[0]}")
    if kind == "pages":
        raise FileBrokenError(f"it has {values[0]:,} pages, over the limit of {MAX_PAGES:,}: split it")
    if kind == "broken":
        raise FileBrokenError(f"the PDF can't be read: {values[0]}")
    title, author = (clean(value).strip() for value in values)
    fields: dict[str, Any] = {"pages": len(texts)} | ({"author": author} if author else {})
    return Parts(title, PAGE_END.join(texts), fields)


def read_pdf(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a PDF is. One that is encrypted or only scanned is counted as without text."""
    if find_spec("pypdf") is None:
        raise MissingLibraryError("pypdf")
    parts = _worker.parts(read_whole(source, intake.report))
    if not parts.text.replace(PAGE_END, "").strip():
        raise FileSkippedError(Reason.NO_TEXT, "its pages are pictures: scanned, perhaps")
    yield whole_document(source, intake, parts)


FORMATS = (
    FileFormat(
        "pdf",
        (".pdf",),
        read_pdf,
        title="the title of its properties",
        text="the text of its pages, a form feed between two",
        fields="`author`, `pages`",
        unit="page",
        library="pypdf",
    ),
)
