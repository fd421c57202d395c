"""Routes of pages for people: the search page, documents, and the files that pages load."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lsr.errors import LsrError
from lsr.query.deadline import deadline
from lsr.server.json_bytes import json_bytes
from lsr.server.pages.address import read_address
from lsr.server.pages.document import document_page, read_passage
from lsr.server.pages.rendering import ASSETS, SERVED_POLICY, asset, render
from lsr.server.pages.results import Page, results_page
from lsr.server.pages.suggestions import suggested_titles
from lsr.server.problems import Problem, problem_of
from lsr.server.rest.context import JSON, base_of, index_of, settings_of, workers_of
from lsr.server.rest.search import pairs_of

router = APIRouter(include_in_schema=False)

log = logging.getLogger(__name__)

HEADERS = {"Content-Security-Policy": SERVED_POLICY, "X-Frame-Options": "DENY"}
HEADINGS = {
    HTTPStatus.BAD_REQUEST: "This address can't be answered",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many searches at once",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong here",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not available right now",
}
Answer = Callable[[Request], Awaitable[Response]]


def _for_people(answer: Answer) -> Answer:
    """Answer with a page in words where something is wrong, rather than with a JSON document."""

    async def answered(request: Request) -> Response:
        try:
            return await answer(request)
        except Exception as error:
            # What nobody foresaw is logged, and said in words as well.
            problem = problem_of(error, request.app.state.hidden_paths)
            if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                log.error(f"{request.method} {request.url.path}: {error!r}", exc_info=not isinstance(error, LsrError))
            heading = HEADINGS.get(problem.status, problem.status.phrase)
            html = render("problem.html", base=_base(request), heading=heading, message=problem.detail)
            return HTMLResponse(html, problem.status, HEADERS | problem.headers)

    answered.__name__ = answer.__name__
    return answered


@router.get("/")
@_for_people
async def page(request: Request) -> Response:
    """Show the search page, with results where there is a query."""
    index, address = index_of(request), read_address(pairs_of(request), base=_base(request))
    found = await _worked(request, lambda: results_page(index.searcher, address, name=index.name))
    return HTMLResponse(found.html, found.status, HEADERS)


@router.get("/document")
@_for_people
async def document(request: Request) -> Response:
    """Show a document, the words of the query marked."""
    index, given = index_of(request), dict(pairs_of(request))
    doc_id, part = given.get("id", ""), given.get("part", "0")
    address = read_address([("q", given.get("q", ""))], base=_base(request))
    number = int(part) if part.isascii() and part.isdecimal() and len(part) < 8 else 0

    def work() -> Page:
        passage = read_passage(given.get("passage", ""))
        html = document_page(index.searcher, doc_id, address, passage=passage, part=number, name=index.name)
        if html is None:
            raise Problem(HTTPStatus.NOT_FOUND, "no-document", f"there is no document {doc_id!r:.200} any more")
        return Page(html)

    found = await _worked(request, work)
    return HTMLResponse(found.html, found.status, HEADERS)


@router.get("/suggest")
async def suggest(request: Request) -> Response:
    """Suggest titles for what is typed, as JSON."""
    index, typed = index_of(request), dict(pairs_of(request)).get("q", "")
    titles = await workers_of(request).run(lambda: suggested_titles(index.index, typed))
    return Response(json_bytes({"titles": titles}), media_type=JSON)


@router.get("/assets/{name}")
async def asset_file(request: Request) -> Response:
    """Send a file that pages load. Its address has its version, so that browsers may keep it."""
    index_of(request)
    name = request.path_params["name"]
    if name not in ASSETS:
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", f"there is no {name!r:.60}: there are {', '.join(ASSETS)}")
    headers = {"Cache-Control": "private, max-age=31536000, immutable"} if "v" in request.query_params else {}
    return Response(asset(name), media_type=ASSETS[name], headers=headers)


async def _worked(request: Request, work: Callable[[], Page]) -> Page:
    ends = time.monotonic() + settings_of(request).limits.deadline_s

    def timed() -> Page:
        with deadline(ends):
            return work()

    return await workers_of(request).run(timed)


def _base(request: Request) -> str:
    """Return the path of the index's pages; of the first index where the path names one that isn't there."""
    indexes, name = request.app.state.indexes, request.path_params.get("index")
    if name is not None and name not in indexes:
        return f"{request.scope.get('root_path', '').rstrip('/')}/"
    return f"{base_of(request)}/"
