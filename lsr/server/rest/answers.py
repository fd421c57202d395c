"""Answers to searches as JSON values."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from lsr.output.explained import engine_object
from lsr.output.hit_view import HitView, viewed_hit
from lsr.output.results import counts_object
from lsr.query.explain.snippet import QueryWords
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.query.stages import search_text
from lsr.types import Hit


def search_object(
    searcher: Searcher, text: str, options: SearchOptions, view: HitView, base: str = ""
) -> dict[str, Any]:
    """Search, and return the answer. base: the path of the index, to which hits link."""
    shown: dict[str, Any] = {"query": text}
    words = QueryWords(text, searcher.index.manifest.encoder)

    def hit_of(hit: Hit) -> dict[str, Any]:
        return viewed_hit(hit, words, view) | {"url": document_url(base, hit.doc_id)}

    if options.explain:
        explained = searcher.explain(text, options)
        shown["hits"] = [
            hit_of(found.hit) | {"title_spans": [list(span) for span in found.title_spans]} for found in explained.hits
        ]
        shown |= counts_object(explained.total, explained.facets) | engine_object(explained)
    else:
        found = search_text(searcher, text, options)
        results = searcher.results_of(found, text, options)
        shown["hits"] = [hit_of(hit) for hit in results]
        shown |= counts_object(results.total, results.facets)
        if results.skipped is not None:
            shown["approximate"] = dict(results.skipped)
    return shown | {"generation": searcher.index.manifest.generation}


def document_url(base: str, doc_id: str) -> str:
    """Return the path of a document. base: that of its index."""
    return f"{base}/documents/{quote(doc_id, safe='/')}"
