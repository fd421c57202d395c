"""Ready vectors out of JSON lines as Anserini and SPLADE write them: `id`, `vector` (weights by term), texts."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from lsr.errors import BadDocumentError, LsrError
from lsr.indexer.corpus.compression import decompressed, uncompressed_name
from lsr.indexer.corpus.doc_ids import fit_doc_id
from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES
from lsr.indexer.corpus.intake import RecordError
from lsr.indexer.corpus.records import id_text
from lsr.io.plain_file import opened
from lsr.types import Document, SparseBatch

ROWS = 4096
SUFFIXES = (".jsonl", ".json", ".ndjson")
LARGEST_WEIGHT = float(np.finfo(np.float32).max)
SMALLEST_WEIGHT = float(np.finfo(np.float32).smallest_subnormal)
_TEXTS = ("contents", "content", "text", "body")
_IDS = ("id", "_id", "docid", "doc_id")


def is_vector_lines(path: Path) -> bool:
    """Return whether the name is that of JSON lines, compressed or not."""
    return Path(uncompressed_name(path.name)[0]).suffix.lower() in SUFFIXES


def read_vector_lines(
    path: Path, term_id: Callable[[str], int | None]
) -> Iterator[tuple[list[Document], SparseBatch, int]]:
    """Yield documents with their vectors, a few thousand at a time, and how many unknown terms were dropped.

    Raises LsrError for a file that can't be read, BadDocumentError for a line that is no object with `id` and `vector`.
    """
    documents: list[Document] = []
    rows: list[dict[int, float]] = []
    dropped = 0
    for number, line in _lines(path):
        document, vector = _Line(path, number).parsed(line)
        row: dict[int, float] = {}
        for term, weight in vector.items():
            found = term_id(term)
            if found is None:
                dropped += 1
            elif weight >= SMALLEST_WEIGHT:  # else nothing is left of it
                row[found] = weight
        documents.append(document)
        rows.append(row)
        if len(documents) == ROWS:
            yield documents, SparseBatch.from_rows(rows, _size(rows)), dropped
            documents, rows, dropped = [], [], 0
    if documents:
        yield documents, SparseBatch.from_rows(rows, _size(rows)), dropped


def _size(rows: list[dict[int, float]]) -> int:
    return max((max(row) for row in rows if row), default=-1) + 1


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with opened(path) as raw:
            suffix = uncompressed_name(path.name)[1]
            stream: BinaryIO = raw
            if suffix:
                stream = decompressed(raw, suffix, path.stat().st_size, 1 << 16)
            for number, line in enumerate(iter(lambda: stream.readline(MAX_DOCUMENT_BYTES + 1), b""), 1):
                if len(line) > MAX_DOCUMENT_BYTES:
                    raise LsrError(f"{path}, line {number:,}: over {MAX_DOCUMENT_BYTES >> 20} MiB, the limit for one")
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise LsrError(f"{path}: can't be read ({getattr(error, 'strerror', None) or error})") from error


class _Line:
    """One line of a file."""

    def __init__(self, path: Path, number: int) -> None:
        self._where = f"{path}, line {number:,}"

    def _refuse(self, why: str) -> NoReturn:
        raise BadDocumentError(f"{self._where}: {why}; mend the file")

    def parsed(self, line: bytes) -> tuple[Document, dict[str, float]]:
        """Return the document of a line and its weights by term."""
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            self._refuse(f"no JSON ({error})")
        if not isinstance(record, dict):
            self._refuse("not a JSON object")
        given = next((record[name] for name in _IDS if record.get(name) not in (None, "")), None)
        if given is None:
            self._refuse("it has no id")
        try:
            doc_id = fit_doc_id(given if isinstance(given, str) else id_text(given))
        except RecordError as error:
            self._refuse(str(error))
        text = next((str(record[name]) for name in _TEXTS if record.get(name) is not None), "")
        vector = record.get("vector")
        if not isinstance(vector, dict):
            self._refuse("it has no vector, an object of weights by term")
        for term, weight in vector.items():
            if type(weight) not in (int, float) or not 0 <= weight <= LARGEST_WEIGHT:
                what = f"weight {weight!r:.40} of {term!r:.40}"
                self._refuse(f"{what}; weights must be finite and not negative, up to 3.4e38")
        title = record.get("title")
        return Document(doc_id, text, "" if title is None else str(title)), vector
