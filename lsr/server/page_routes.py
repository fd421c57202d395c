"""Routes of pages for people: the search page."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lsr.server.pages.served import served_page
from lsr.server.rest.context import index_of, settings_of, workers_of
from lsr.server.rest.parameters import options_of_pairs
from lsr.server.rest.search import pairs_of

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page(request: Request) -> Response:
    """Show the search page, with results where there is a query."""
    index = index_of(request)
    pairs = pairs_of(request)
    query = dict(pairs).get("q", "")
    if not query.strip():
        return HTMLResponse(served_page(index.index, ""))
    searcher = index.searcher
    asked = options_of_pairs(pairs, searcher.options, settings_of(request).limits)

    def work() -> str:
        return served_page(searcher.index, query, searcher.explain(query, asked.options))

    return HTMLResponse(await workers_of(request).run(work))
