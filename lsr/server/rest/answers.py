"""Answers to searches as JSON values."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lsr.output.explained import engine_object
from lsr.output.hit_view import HitView, viewed_hit
from lsr.output.results import counts_object, missing_object
from lsr.query.deadline import check_deadline
from lsr.query.explain.snippet import QueryWords
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.query.stages import Seconds, search_text
from lsr.types import Hit

Observer = Callable[[Seconds, Mapping[str, float]], None]


def search_object(
    searcher: Searcher,
    text: str,
    options: SearchOptions,
    view: HitView,
    *,
    base: str = "",
    observe: Observer | None = None,
) -> dict[str, Any]:
    """Search, and return the answer. base: path of the index, to which hits link. observe: takes the stages' times."""

    def answer(searcher: Searcher) -> dict[str, Any]:
        return _search_object(searcher, text, options, view, base=base, observe=observe)

    return searcher.tolerant(options, answer)


def _search_object(
    searcher: Searcher, text: str, options: SearchOptions, view: HitView, *, base: str, observe: Observer | None
) -> dict[str, Any]:
    began = time.perf_counter()
    found = search_text(searcher, text, options)
    ranked = time.perf_counter()
    check_deadline("documents")
    shown: dict[str, Any] = {"query": text}
    words = QueryWords(text, searcher.index.manifest.encoder)

    def hit_of(hit: Hit) -> dict[str, Any]:
        return viewed_hit(hit, words, view) | {"url": document_url(base, hit.doc_id)}

    if options.explain:
        explained = searcher.explained(found, query=text, options=options)
        shown["hits"] = [
            hit_of(one.hit) | {"title_spans": [list(span) for span in one.title_spans]} for one in explained.hits
        ]
        _name_files(searcher, [one.hit for one in explained.hits], shown["hits"])
        shown |= counts_object(explained.total, explained.facets) | engine_object(explained)
    else:
        results = searcher.results_of(found, text, options)
        shown["hits"] = [hit_of(hit) for hit in results]
        _name_files(searcher, results.hits, shown["hits"])
        shown |= counts_object(results.total, results.facets)
        if results.skipped is not None:
            shown["approximate"] = dict(results.skipped)
    shown |= missing_object(searcher.missing)
    done = time.perf_counter()
    if observe is not None:
        observe(found.seconds, {"documents": done - ranked})
    return shown | {"took_us": round((done - began) * 1e6), "generation": searcher.index.manifest.generation}


def _name_files(searcher: Searcher, hits: Sequence[Hit], shown: Sequence[dict[str, Any]]) -> None:
    """Put names of files in the place of paths, which would tell clients of the server's folders."""
    if not any("path" in each for each in shown):
        return
    for name, each in zip(searcher.file_names(hits), shown, strict=True):
        if each.pop("path", None) is not None and name is not None:
            each["path"] = name


def document_url(base: str, doc_id: str) -> str:
    """Return the path of a document. base: that of its index."""
    return f"{base}/documents/{quote(doc_id, safe='/')}"
