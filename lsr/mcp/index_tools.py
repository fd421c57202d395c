"""Tools `list_fields` and `status`: what filters can test, and what the indexes hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lsr.api.documents import count_documents
from lsr.errors import UsageError
from lsr.mcp.tool import Tool, count_of, text_of
from lsr.output.results import value_text
from lsr.query.filters.columns import field_kinds
from lsr.query.matches import Matches, one_each
from lsr.query.searcher import Searcher
from lsr.server.served_index import ServedIndex
from lsr.types import PASSAGE_FIELDS

VALUES, MOST_VALUES = 10, 100
"""Values of a field that are listed by default, and at most."""


def list_fields_tool() -> Tool:
    """Return the tool that lists fields with their values."""
    return Tool(
        "list_fields",
        "List the fields that 'where', 'sort' and 'facets' of search can use, with their kinds, most frequent values "
        "and counts.",
        {
            "field": {"type": "string", "description": "one field (default: all)"},
            "values": {
                "type": "integer", "minimum": 1, "maximum": MOST_VALUES,
                "description": f"values of each field (default: {VALUES})",
            },
        },
        _list_fields,
    )  # fmt: skip


def status_tool() -> Tool:
    """Return the tool that says what the index is."""
    return Tool("status", "Say what the index is about, how many documents it holds, and how new it is.", {}, _status)


def _list_fields(index: ServedIndex, given: Mapping[str, Any]) -> str:
    n_values = count_of(given, "values", default=VALUES, most=MOST_VALUES)
    searcher = index.searcher
    kinds = {name: kind for name, kind in field_kinds(searcher.index).items() if name not in PASSAGE_FIELDS}
    wanted = given.get("field")
    if wanted is not None:
        wanted = text_of(given, "field")
        if wanted not in kinds:
            raise UsageError(f"no field {wanted!r:.80}: there are {', '.join(kinds) or 'none'}")
        kinds = {wanted: kinds[wanted]}
    everything = _all_documents(searcher)
    lines = []
    for name, kind in kinds.items():
        found = everything.facet(name)
        shown = ", ".join(f"{_short(found.value)} ({found.count})" for found in found[:n_values])
        more = ", …" if len(found) > n_values else ""
        lines.append(f"{name} ({kind}): {shown}{more}")
    return "\n".join(lines) or "the documents have no fields"


def _short(value: Any) -> str:
    text = value_text(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _all_documents(searcher: Searcher) -> Matches:
    """Return all documents as if they matched a query."""
    index = searcher.index
    live = [index.places.at(i, np.flatnonzero(segment.live_rows)) for i, segment in enumerate(index.segments)]
    positions = np.sort(np.concatenate([np.empty(0, np.int64), *live]))
    return Matches(searcher, *one_each(searcher, positions, np.zeros(len(positions))), 0, 0)


def _status(index: ServedIndex, _: Mapping[str, Any]) -> str:
    opened = index.index
    manifest = opened.manifest
    encoder = manifest.encoder
    about = f"\nabout: {index.about}" if index.about else ""
    dense = "" if manifest.dense is None else f", dense vectors by {manifest.dense.get('name', '?')} (hybrid searches)"
    return (
        f"index {index.name}: {count_documents(opened):,} documents{about}\n"
        f"encoder: {encoder.get('name', encoder['kind'])}{dense}\n"
        f"generation {manifest.generation}, of {manifest.created}"
    )
