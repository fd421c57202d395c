"""Routes of searches: GET and POST /search."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lsr.indexer.storage.manifest import Manifest
from lsr.query.deadline import deadline
from lsr.query.searcher import Searcher
from lsr.server.problems import bad_request
from lsr.server.records import json_value
from lsr.server.rest.answers import search_object
from lsr.server.rest.context import JSON, base_of, index_of, settings_of, workers_of
from lsr.server.rest.json_bytes import json_bytes
from lsr.server.rest.openapi import BATCH, RESULTS, operation, search_body, search_parameters
from lsr.server.rest.parameters import SearchRequest, options_of_object, options_of_pairs

MOST_PARAMETERS = 40
SMALL = 5_000_000
"""Postings of an index whose plain searches run in the event loop itself."""
PLAIN_K = 20
"""Results of a search that is expected to be short."""

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
    searcher = index_of(request).searcher
    asked = options_of_pairs(pairs_of(request), searcher.options, settings_of(request).limits)
    return await _answered(request, searcher, asked)


@router.post("/search", openapi_extra=operation({"anyOf": [BATCH, RESULTS]}, body=search_body()))
async def search_many(request: Request) -> Response:
    """Search for one query or for several, given as JSON."""
    body = await json_body(request)
    searcher = index_of(request).searcher
    asked = options_of_object(body, searcher.options, settings_of(request).limits)
    return await _answered(request, searcher, asked)


async def json_body(request: Request) -> Any:
    """Return the JSON value of a request's body. Raises Problem where it is none."""
    return json_value(await request.body())


def is_small(manifest: Manifest) -> bool:
    """Tell whether searches by terms alone take a millisecond or two, less than handing them to a thread."""
    return manifest.n_postings <= SMALL and manifest.encoder["query_side"] != "model"


def is_plain(asked: SearchRequest) -> bool:
    """Tell whether a request is one search by terms alone, which small indexes answer in a millisecond."""
    options = asked.options
    return not (
        asked.is_batch or options.hybrid_search or options.feedback or options.counts_matches or options.explain
        or options.locate or options.sort or options.where or options.k > PLAIN_K
    )  # fmt: skip


async def _answered(request: Request, searcher: Searcher, asked: SearchRequest) -> Response:
    base = base_of(request)
    observe = request.app.state.metrics.observe_stages
    ends = time.monotonic() + settings_of(request).limits.deadline_s

    def work() -> bytes:
        with deadline(ends):
            found = [
                search_object(searcher, text, asked.options, asked.view, base=base, observe=observe)
                for text in asked.texts
            ]
        return json_bytes({"results": found} if asked.is_batch else found[0])

    is_short = is_plain(asked) and searcher.elsewhere is None and is_small(searcher.index.manifest)
    return Response(work() if is_short else await workers_of(request).run(work), media_type=JSON)
