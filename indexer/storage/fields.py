"""Fields of documents as Arrow columns, so that filters need not read the documents.

The documents' own fields (JSON, `lsr.indexer.storage.documents`) remain what they were; a column holds what of
them can be compared. Its kind is that of all its values in a segment, or the one that has room for all.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from lsr.errors import IndexDamagedError
from lsr.indexer.storage.documents import DocumentStore
from lsr.indexer.storage.files import FileInfo, arrow_source, new_file
from lsr.indexer.storage.manifest import REMEDY
from lsr.indexer.storage.segment_files import FIELDS_FILE, ROWS
from lsr.io.folder import FileAt, Folder

MOST_COLUMNS = 256
"""Of more fields, those that most documents have become columns."""

TYPES: Mapping[str, Any] = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "date": pa.timestamp("us"),
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
}
"""Kinds of columns. date: UTC."""
_NAMES = {str(of): name for name, of in TYPES.items()}
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)  # fmt: skip
_INT64 = 1 << 63


def parse_date(text: str) -> datetime | None:
    """Return the time of an ISO 8601 date or date and time, in UTC without a zone, or None."""
    if not _DATE.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def kind_of(value: Any) -> str:
    """Return the kind that a field's value is of; it isn't None."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -_INT64 <= value < _INT64 else "float"
    if isinstance(value, float):
        return "float"
    if isinstance(value, list):
        return "texts"
    return "text" if parse_date(value) is None else "date"


def joined(kinds: Iterable[str]) -> str:
    """Return the kind that has room for values of all of these."""
    some = set(kinds)
    if len(some) == 1:
        return some.pop()
    if some == {"int", "float"}:
        return "float"
    return "texts" if "texts" in some else "text"


def as_kind(value: Any, kind: str) -> Any:
    """Return a field's value as one of a kind that has room for it."""
    if value is None:
        return None
    if kind == "date":
        return parse_date(value)
    if kind == "float":
        with suppress(OverflowError):
            return float(value)
        return float("inf") if value > 0 else float("-inf")
    if kind == "texts":
        return [_text(item) for item in value] if isinstance(value, list) else [_text(value)]
    return _text(value) if kind == "text" else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def write_fields(folder: Folder, store: DocumentStore) -> dict[str, FileInfo]:
    """Write the columns of a store's documents, in their order; nothing where no document has a field.

    Returns what a manifest says of the file, by its name.
    """
    counts: Counter[str] = Counter()
    kinds: dict[str, set[str]] = {}
    for batch in store.all_fields():
        for fields in batch:
            for name, value in fields.items():
                if value is not None:
                    counts[name] += 1
                    kinds.setdefault(name, set()).add(kind_of(value))
    if not counts:
        return {}
    chosen = {name: joined(kinds[name]) for name, _ in counts.most_common(MOST_COLUMNS)}
    schema = pa.schema([(name, TYPES[chosen[name]]) for name in sorted(chosen)])
    with new_file(folder / FIELDS_FILE) as file, pa.ipc.new_file(pa.PythonFile(file, "w"), schema) as writer:
        for batch in store.all_fields():
            columns = [
                pa.array([as_kind(fields.get(of.name), chosen[of.name]) for fields in batch], of.type) for of in schema
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    return {FIELDS_FILE: file.info}


class FieldColumns:
    """The columns of a segment, through mmap. store: its documents."""

    def __init__(self, path: FileAt, store: DocumentStore) -> None:
        self._path = path
        self._store = store
        try:
            self._reader = pa.ipc.open_file(arrow_source(path))
            self.kinds = {of.name: _NAMES[str(of.type)] for of in self._reader.schema}
        except (OSError, pa.ArrowException, KeyError, UnicodeDecodeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> IndexDamagedError:
        return IndexDamagedError(f"{self._path}: not readable columns of fields ({error}); {REMEDY}")

    def column(self, name: str, kind: str) -> Any:
        """Return a field of all documents as a column of a kind that holds all its values.

        A pyarrow array, null where a document lacks the field."""
        if self.kinds.get(name) == kind:
            return self._stored(name)
        return pa.chunked_array(
            [pa.array([as_kind(fields.get(name), kind) for fields in batch], TYPES[kind])
             for batch in self._store.all_fields()], TYPES[kind],
        )  # fmt: skip

    def _stored(self, name: str) -> Any:
        try:
            chunks = []
            for number in range(self._reader.num_record_batches):
                chunk = self._reader.get_batch(number).column(name)
                chunk.validate(full=True)  # the offsets of a damaged file could lead anywhere
                chunks.append(chunk)
            column = pa.chunked_array(chunks, TYPES[self.kinds[name]])
        except (OSError, pa.ArrowException, KeyError) as error:
            raise self._damaged(error) from error
        if len(column) != len(self._store) or any(len(chunk) != ROWS for chunk in chunks[:-1]):
            raise IndexDamagedError(f"{self._path}: not of {len(self._store)} documents; {REMEDY}")
        return column
