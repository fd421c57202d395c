"""PDF, one document a file, by pypdf."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES, FileFormat, SourceFile
from lsr.indexer.corpus.formats.text import clean
from lsr.indexer.corpus.intake import FileBrokenError, FileSkippedError, Intake, MissingLibraryError
from lsr.indexer.corpus.opening import read_whole
from lsr.indexer.corpus.report import Reason
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

MAX_PAGES = 20_000
PAGE_END = "\f"
"""Character between the texts of two pages."""


def read_pdf(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a PDF is. One that is encrypted or only scanned is counted as without text."""
    try:
        import pypdf
    except ImportError:
        raise MissingLibraryError("pypdf") from None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its warnings tell of files, not of what to do
    data = read_whole(source, intake.report)
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise FileSkippedError(Reason.NO_TEXT, "encrypted: it needs a password")
        parts = _parts(reader)
    except (FileSkippedError, FileBrokenError):
        raise
    except ImportError as error:
        raise FileSkippedError(Reason.NO_TEXT, f"encrypted: {' '.join(str(error).split())}") from None
    except Exception as error:  # noqa: BLE001  pypdf raises nearly anything for damaged files
        raise FileBrokenError(f"the PDF can't be read: {_one_line(error)}") from None
    if not parts.text.strip():
        raise FileSkippedError(Reason.NO_TEXT, "its pages are pictures: scanned, perhaps")
    yield whole_document(source, intake, parts)


def _parts(reader: Any) -> Parts:
    if len(reader.pages) > MAX_PAGES:
        raise FileBrokenError(f"it has {len(reader.pages):,} pages, over the limit of {MAX_PAGES:,}: split it")
    texts, size = [], 0
    for page in reader.pages:
        texts.append(page.extract_text())
        size += len(texts[-1])
        if size > MAX_DOCUMENT_BYTES:
            raise FileSkippedError(Reason.TOO_LARGE, f"over {MAX_DOCUMENT_BYTES >> 20} MiB of text: split it")
    about = reader.metadata or {}
    title, author = (clean(str(about.get(name) or "")).strip() for name in ("/Title", "/Author"))
    fields: dict[str, Any] = {"pages": len(texts)} | ({"author": author} if author else {})
    return Parts(title, PAGE_END.join(texts), fields)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


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
