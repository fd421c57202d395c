"""File formats and files: a description of each format with its reader, and a file for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lsr.types import Document

MAX_DOCUMENT_BYTES = 128 << 20
"""The most that one document may take in its file (a text file, a line, a JSON value). It bounds the memory."""

EXTRA = "documents"
"""Extra of the package whose libraries read office documents and zstandard files."""


Reader = Callable[["SourceFile", Any], Iterator[tuple[int, Document]]]
"""Reads (position, document) of a file, counting in an `Intake`."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format that is read.

    name: as `--as` has it. suffixes: ends of file names, in lower case. title, text, fields: what of a file becomes
    these, for the documentation.
    file_names: names of files without a suffix, in lower case. unit: of positions in a file. library: module that the
    reader imports, where it may be missing. holds_records: whether a file holds many documents.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Reader
    title: str
    text: str
    fields: str = ""
    file_names: tuple[str, ...] = ()
    unit: str = "line"
    library: str = ""
    holds_records: bool = False


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a corpus.

    label: its path as the user would write it. doc_id: the id of a document that is this whole file. compression:
    suffix of the compression, "" for none. named: it was given itself, not found in a folder. root: number of the root
    that the walk met it below. inside: its path inside its source, "" for a source that is a file. mtime_ns: time of
    its last change. reopen: opens the bytes of a file that lies elsewhere, which has no path here.
    """

    path: Path
    label: str
    doc_id: str
    format: FileFormat
    compression: str
    size_bytes: int
    named: bool
    root: int = 0
    inside: str = ""
    mtime_ns: int = 0
    reopen: Callable[[], IO[bytes]] | None = None
