"""Fields of documents as columns, for filters, facets and sorting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lsr.indexer.storage.fields import MOST_COLUMNS, TYPES, joined
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.segment import Segment
from lsr.types import PASSAGE_OF, PASSAGE_TITLE

DOCUMENT_FIELDS = ("doc_id", "title", "text")
"""Names that every document has; a field of the same name comes first."""
_OF_DOCUMENT = {"doc_id": PASSAGE_OF, "title": PASSAGE_TITLE}
_SHOWN = 30


def field_kinds(index: StoredIndex) -> dict[str, str]:
    """Return the kind of every field that documents of an index have and filters can test, by name."""
    if index.agreed_kinds is not None:
        return dict(index.agreed_kinds)
    found: dict[str, list[str]] = {}
    for segment in index.segments:
        for name, kind in (segment.fields.kinds if segment.fields is not None else {}).items():
            found.setdefault(name, []).append(kind)
    return {name: joined(kinds) for name, kinds in sorted(found.items())}


def column_kinds(index: StoredIndex) -> dict[str, str]:
    """Return the kind of every name that a column can be read of: fields, and `DOCUMENT_FIELDS`."""
    return dict.fromkeys(DOCUMENT_FIELDS, "text") | field_kinds(index)


def unknown_field(name: str, kinds: Mapping[str, str]) -> str:
    """Return the message for a field that no document has."""
    names = ", ".join(list(kinds)[:_SHOWN]) + (", …" if len(kinds) > _SHOWN else "")
    return f"no document has a field {name!r}; there are {names}"


def may_have_more(index: StoredIndex) -> bool:
    """Return whether documents may have fields that no column holds: a segment is at the limit of columns."""
    return any(segment.fields is not None and len(segment.fields.kinds) >= MOST_COLUMNS for segment in index.segments)


def read_column(segment: Segment, name: str, kind: str) -> Any:
    """Return a field of a segment's documents, in the order of addition, as a pyarrow column with nulls."""
    if segment.fields is not None and name in segment.fields.kinds:
        return segment.fields.column(name, kind)
    if name in DOCUMENT_FIELDS:
        column = segment.documents.column(name)
        of_document = _OF_DOCUMENT.get(name)
        return column if of_document is None else _with_documents(segment, column, of_document)
    return pa.chunked_array([pa.nulls(segment.n_docs, TYPES[kind])])


def _with_documents(segment: Segment, column: Any, field: str) -> Any:
    """Return a column with the values of passages' documents, which a field of the passages has."""
    fields = segment.fields
    if fields is None:
        return column
    if field in fields.kinds or len(fields.kinds) >= MOST_COLUMNS:
        return pc.coalesce(fields.column(field, "text"), column)
    return column
