"""Tools `get_document` and `get_documents`: documents by their ids, whole, by lines, or by a pattern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from lsr.api.documents import all_documents, documents_by_id
from lsr.errors import UsageError
from lsr.mcp.search_tool import fields_line
from lsr.mcp.tool import Tool, count_of, text_of
from lsr.server.served_index import ServedIndex
from lsr.types import Document

CHARACTERS, MOST_CHARACTERS = 40_000, 400_000
"""Characters of an answer by default, and at most."""
DOCUMENTS, MOST_DOCUMENTS = 20, 200
_SIZE = {
    "type": "integer", "minimum": 1, "maximum": MOST_CHARACTERS,
    "description": f"most characters of text (default: {CHARACTERS})",
}  # fmt: skip


def get_document_tool() -> Tool:
    """Return the tool that reads one document."""
    line = {"type": "integer", "minimum": 1}
    return Tool(
        "get_document",
        "Read a document by its id, as hits show it: whole, or the lines from first_line to last_line.",
        {
            "doc_id": {"type": "string", "description": "the document's id"},
            "first_line": {**line, "description": "first line wanted (default: 1)"},
            "last_line": {**line, "description": "last line wanted (default: the last)"},
            "max_characters": _SIZE,
        },
        _get_one,
        ("doc_id",),
    )


def get_documents_tool() -> Tool:
    """Return the tool that reads several documents."""
    return Tool(
        "get_documents",
        "Read several documents: by doc_ids, or all whose id fits a pattern such as notes/*.md.",
        {
            "doc_ids": {
                "type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_DOCUMENTS,
                "description": "ids of documents",
            },
            "pattern": {"type": "string", "description": "pattern of ids with *, ? and [a-z]"},
            "limit": {
                "type": "integer", "minimum": 1, "maximum": MOST_DOCUMENTS,
                "description": f"most documents (default: {DOCUMENTS})",
            },
            "max_characters": _SIZE,
        },
        _get_several,
    )  # fmt: skip


def _get_one(index: ServedIndex, given: Mapping[str, Any]) -> str:
    doc_id = text_of(given, "doc_id")
    document = index.document(doc_id)
    if document is None:
        raise UsageError(f"no document {doc_id!r:.200}; take an id from the hits of a search")
    room = count_of(given, "max_characters", default=CHARACTERS, most=MOST_CHARACTERS)
    lines = document.text.split("\n")
    first = count_of(given, "first_line", default=1, most=10**9)
    last = min(count_of(given, "last_line", default=len(lines), most=10**9), len(lines))
    if first > len(lines) or last < first:
        raise UsageError(f"first_line {first} to last_line {last}: the document has the lines 1 to {len(lines)}")
    text = "\n".join(lines[first - 1 : last])
    part = "" if (first, last) == (1, len(lines)) else f", lines {first} to {last} of {len(lines)}"
    return f"{_heading(document, part)}\n{_shortened(text, room, first)}"


def _get_several(index: ServedIndex, given: Mapping[str, Any]) -> str:
    doc_ids, pattern = given.get("doc_ids"), given.get("pattern")
    if (doc_ids is None) == (pattern is None):
        raise UsageError("give doc_ids or pattern, and one of them")
    limit = count_of(given, "limit", default=DOCUMENTS, most=MOST_DOCUMENTS)
    room = count_of(given, "max_characters", default=CHARACTERS, most=MOST_CHARACTERS)
    blocks: list[str] = []
    for number, block in enumerate(_blocks(index, doc_ids, pattern)):
        if number == limit:
            blocks.append(f"… more documents; the limit of {limit} is reached")
            break
        blocks.append(_shortened(block, room, 1))
        room -= len(blocks[-1])
        if room <= 0:
            blocks.append("… no room for more; raise max_characters, or ask for fewer documents")
            break
    return "\n\n".join(blocks) or f"no document's id fits {pattern!r:.200}"


def _blocks(index: ServedIndex, doc_ids: Any, pattern: Any) -> Iterator[str]:
    """Yield documents as text, and a line for each that isn't there."""
    opened = index.index
    if pattern is not None:
        wanted = text_of({"pattern": pattern}, "pattern")
        yield from (_block(found) for found in all_documents(opened) if fnmatchcase(found.doc_id, wanted))
        return
    fits = isinstance(doc_ids, list) and doc_ids and all(isinstance(doc_id, str) for doc_id in doc_ids)
    if not fits or len(doc_ids) > MOST_DOCUMENTS:
        raise UsageError(f"doc_ids must be a list of 1 to {MOST_DOCUMENTS} texts")
    for doc_id, found in zip(doc_ids, documents_by_id(opened, doc_ids), strict=True):
        yield f"no document {doc_id!r:.200}" if found is None else _block(found)


def _block(document: Document) -> str:
    return f"{_heading(document)}\n{document.text}"


def _heading(document: Document, part: str = "") -> str:
    title = f" {document.title}" if document.title.strip() else ""
    return f"# {document.doc_id}{title}{part}" + (f"\n{fields_line(document.fields)}" if document.fields else "")


def _shortened(text: str, room: int, first_line: int) -> str:
    if len(text) <= room:
        return text
    line = first_line + text.count("\n", 0, room)
    return f"{text[:room]}\n… cut at {room:,} of {len(text):,} characters, in line {line}"
