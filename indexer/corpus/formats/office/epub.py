"""EPUB books, one document a file: the text of their chapters in the order of reading."""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree import ElementTree

from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES, FileFormat, SourceFile
from lsr.indexer.corpus.formats.markup import html_parts
from lsr.indexer.corpus.formats.office.zipped import checked_zip
from lsr.indexer.corpus.intake import FileBrokenError, FileSkippedError, Intake
from lsr.indexer.corpus.opening import read_whole
from lsr.indexer.corpus.report import Reason
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

CHAPTER_END = "\f"
"""Character between the texts of two chapters."""

_CONTAINER = "META-INF/container.xml"
_ENTITIES = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_FIELDS = {"creator": "author", "language": "language", "publisher": "publisher", "date": "date", "subject": "subject"}


def read_epub(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a book is."""
    data = read_whole(source, intake.report)
    with checked_zip(data, "an EPUB book") as archive:
        try:
            parts = _parts(archive)
        except (KeyError, ElementTree.ParseError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError,
                NotImplementedError, ValueError) as error:  # fmt: skip
            raise FileBrokenError(f"the EPUB book can't be read: {' '.join(str(error).split())[:300]}") from None
    yield whole_document(source, intake, parts)


def _parts(archive: zipfile.ZipFile) -> Parts:
    root = _xml(archive, _CONTAINER).find(".//{*}rootfile")
    if root is None:
        raise ValueError("it names no package")
    package_path = root.get("full-path") or ""
    package = _xml(archive, package_path)
    files = {item.get("id"): item.get("href") or "" for item in package.iterfind("{*}manifest/{*}item")}
    texts, size = [], 0
    for reference in package.iterfind("{*}spine/{*}itemref"):
        href = unquote(files.get(reference.get("idref"), "").partition("#")[0])
        if not href:
            continue
        path = posixpath.normpath(posixpath.join(posixpath.dirname(package_path), href))
        texts.append(html_parts(archive.read(path).decode("utf-8", "replace"))[1])
        size += len(texts[-1])
        if size > MAX_DOCUMENT_BYTES:
            raise FileSkippedError(Reason.TOO_LARGE, f"over {MAX_DOCUMENT_BYTES >> 20} MiB of text: split it")
    found: dict[str, list[str]] = {}
    for element in package.iterfind("{*}metadata/*"):
        name = element.tag.rpartition("}")[2]
        if element.text and element.text.strip():
            found.setdefault(name, []).append(element.text.strip())
    fields = {to: ", ".join(found[name]) for name, to in _FIELDS.items() if name in found}
    return Parts(found.get("title", [""])[0], CHAPTER_END.join(texts), fields)


def _xml(archive: zipfile.ZipFile, path: str) -> ElementTree.Element:
    data = archive.read(path)
    if _ENTITIES.search(data):
        raise ValueError(f"{path} declares entities, which can stand for gigabytes")
    return ElementTree.fromstring(data)  # noqa: S314  without entities, it can't expand


FORMATS = (
    FileFormat(
        "epub",
        (".epub",),
        read_epub,
        title="the title of the book",
        text="the text of its chapters in the order of reading, a form feed between two",
        fields="`author`, `language`, `publisher`, `date`, `subject`",
        unit="chapter",
    ),
)
