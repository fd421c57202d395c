"""Routes of searches: GET and POST /search."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lsr.output.hits import json_line
from lsr.query.deadline import deadline
from lsr.server.problems import bad_request
from lsr.server.records import json_value
from lsr.server.rest.answers import search_object
from lsr.server.rest.context import JSON, base_of, index_of, settings_of, workers_of
from lsr.server.rest.openapi import BATCH, RESULTS, operation, search_body, search_parameters
from lsr.server.rest.parameters import SearchRequest, options_of_object, options_of_pairs

MOST_PARAMETERS = 40

router = APIRouter()


def pairs_of(request: Request) -> list[tuple[str, str]]:
    """Return the parameters of a query string. Raises Problem where it can't be read."""
    try:
        raw = request.scope["query_string"].decode("ascii")
        return parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise bad_request(f"the query string can't be read: {error}") from error


@router.get("/search", openapi_extra=operation(RESULTS, parameters=search_parameters()))
async def search(request: Request) -> Response:
    """Search for one query."""
    index = index_of(request)
    limits = settings_of(request).limits
    asked = options_of_pairs(pairs_of(request), index.searcher.options, limits)
    return await _answered(request, asked)


@router.post("/search", openapi_extra=operation({"anyOf": [BATCH, RESULTS]}, body=search_body()))
async def search_many(request: Request) -> Response:
    """Search for one query or for several, given as JSON."""
    index = index_of(request)
    body = await json_body(request)
    asked = options_of_object(body, index.searcher.options, settings_of(request).limits)
    return await _answered(request, asked)


async def json_body(request: Request) -> Any:
    """Return the JSON value of a request's body. Raises Problem where it is none."""
    return json_value(await request.body())


async def _answered(request: Request, asked: SearchRequest) -> Response:
    searcher, base = index_of(request).searcher, base_of(request)
    observe = request.app.state.metrics.observe_stages
    ends = time.monotonic() + settings_of(request).limits.deadline_s

    def work() -> str:
        with deadline(ends):
            found = [
                search_object(searcher, text, asked.options, asked.view, base=base, observe=observe)
                for text in asked.texts
            ]
        return json_line({"results": found} if asked.is_batch else found[0])

    return Response(await workers_of(request).run(work), media_type=JSON)
