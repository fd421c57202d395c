"""Tool `search`: hits in few words, each with its path, line, snippet and fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lsr.mcp.tool import Tool
from lsr.output.hit_view import HitView
from lsr.output.results import missing_line, value_text
from lsr.query.explain.snippet import QueryWords, Snippet, find_snippet, fold
from lsr.query.options import SearchOptions
from lsr.server.rest.parameters import (
    LOCATE,
    QUERY,
    VIEW_SPECS,
    options_of_object,
    search_names,
    specs_of_request,
)
from lsr.server.served_index import ServedIndex
from lsr.server.settings import Limits
from lsr.types import FieldValue, Hit, Results, TermContribution

LIMITS = Limits()
FIELD_CHARACTERS, SHOWN_TERMS = 200, 6
"""Characters of a hit's fields, and terms of an explained hit."""


def search_tool() -> Tool:
    """Return the tool, with a parameter for each search option that clients may give."""
    specs = specs_of_request()
    # Every hit has its line already.
    parameters = {name: specs[name].json_schema() for name in (*search_names(), "snippet") if name != LOCATE}
    query = {"type": "string", "description": "what to look for, in words", "minLength": 1, "maxLength": LIMITS.query}
    return Tool(
        "search",
        "Search the index for the best documents. Each hit is a line 'RANK. ID:LINE TITLE (score)', its fields and a "
        "snippet; get_document reads more of it.",
        {"query": query, **parameters},
        _answer,
        ("query",),
    )


def _answer(index: ServedIndex, given: Mapping[str, Any]) -> str:
    searcher = index.searcher
    body = {QUERY: given["query"], **{name: value for name, value in given.items() if name != "query"}}
    asked = options_of_object(body, searcher.options, LIMITS)
    (text,) = asked.texts
    results = searcher.search(text, asked.options)
    words = QueryWords(text, searcher.index.manifest.encoder)
    lines = [line for hit in results for line in _hit_lines(index, hit, words, asked.view)]
    if not results:
        lines.append(_nothing(asked.options, len(searcher.index)))
    partial = [missing_line(results.missing)] if results.missing else []
    return "\n".join([*partial, *lines, *_count_lines(results)])


def _nothing(options: SearchOptions, n_documents: int) -> str:
    tried = [name for name in ("where", "min_score", "offset") if getattr(options, name)]
    more = f"; leave out {' and '.join(tried)}, or use other words" if tried else "; use other words"
    return f"nothing found among {n_documents:,} documents: none holds a term of the query{more}"


def _hit_lines(index: ServedIndex, hit: Hit, words: QueryWords, view: HitView) -> list[str]:
    snippet = find_snippet(hit.text, words, view.snippet or VIEW_SPECS["snippet"].most or 1)  # type: ignore[arg-type]
    title = f" {fold(hit.title)}" if hit.title.strip() else ""
    heading = f"{hit.rank}. {hit.doc_id}:{_line_of(index, hit, snippet)}{title} ({hit.score:.4g})"
    lines = [heading if hit.stale is None else f"{heading} [stale: its file has {hit.stale} since it was indexed]"]
    if hit.fields:
        lines.append(f"   {fields_line(hit.fields)}")
    if view.snippet and snippet.text:
        before, after = "" if snippet.starts else "… ", "" if snippet.ends else " …"
        lines.append(f"   {before}{snippet.text}{after}")
    if hit.terms is not None:
        lines.append(f"   why: {_terms(hit.terms)}")
    return lines


def _terms(terms: tuple[TermContribution, ...]) -> str:
    shown = ", ".join(f"{term.term} {term.contribution:.3g}" for term in terms[:SHOWN_TERMS])
    return shown + (f", and {len(terms) - SHOWN_TERMS} more" if len(terms) > SHOWN_TERMS else "")


def _line_of(index: ServedIndex, hit: Hit, snippet: Snippet) -> int:
    """Return the line of the document's text with the snippet's first word of the query, from 1."""
    begin = fold(hit.text).find(snippet.text)
    begin += snippet.spans[0][0] if snippet.spans else 0
    start = 0
    if begin > 0:
        word = fold(hit.text).count(" ", 0, begin)
        starts = (match.start() for match in re.finditer(r"\S+", hit.text))
        start = next((at for number, at in enumerate(starts) if number == word), 0)
    elif (first := re.search(r"\S", hit.text)) is not None:
        start = first.start()
    if hit.passage is None:
        return hit.text.count("\n", 0, start) + 1
    whole = index.document(hit.doc_id)
    return 1 if whole is None else whole.text.count("\n", 0, hit.passage[0] + start) + 1


def fields_line(fields: Mapping[str, FieldValue]) -> str:
    """Return fields in one line, shortened."""
    parts = (
        f"{name}={','.join(value) if isinstance(value, list) else value_text(value)}"
        for name, value in fields.items()
        if value is not None
    )
    line = fold(" ".join(parts))
    return line if len(line) <= FIELD_CHARACTERS else line[: FIELD_CHARACTERS - 1] + "…"


def _count_lines(results: Results) -> list[str]:
    lines = [] if results.total is None else [f"total: {results.total:,} documents with a term of the query"]
    for name, values in results.facets.items():
        shown = ", ".join(f"{value_text(found.value)} ({found.count})" for found in values)
        lines.append(f"{name}: {shown or 'no matching document has it'}")
    return lines
