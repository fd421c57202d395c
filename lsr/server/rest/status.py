"""Routes of the server's state: /health, /ready, /stats and /metrics; and /encode."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lsr.api.stats import stats_of
from lsr.server.keys import Role
from lsr.server.metrics import CONTENT_TYPE_LATEST
from lsr.server.problems import Problem, bad_request
from lsr.server.rest.context import index_of, json_answer, require, settings_of, workers_of
from lsr.server.rest.documents import parameters
from lsr.server.rest.openapi import ENCODED, STATE, STATISTICS, TO_ENCODE, content, operation
from lsr.server.rest.search import json_body
from lsr.server.served_index import ServedIndex
from lsr.types import Document, SparseBatch
from lsr.version import __version__

router = APIRouter()
server_router = APIRouter()
"""Routes of the server, which no index has for itself."""


@server_router.get("/health", openapi_extra=operation(STATE))
async def health(request: Request) -> Response:
    """Say that the process is alive."""
    parameters(request, ())
    return json_answer({"status": "ok"})


@server_router.get("/ready", openapi_extra=operation(STATE, more={503: STATE}))
async def ready(request: Request) -> Response:
    """Say whether all indexes can be searched."""
    parameters(request, ())

    def work() -> dict[str, str]:
        return {index.name: index.state for index in request.app.state.indexes.values()}

    states = await workers_of(request).run(work)
    is_ready = all(state == "ready" for state in states.values())
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return json_answer({"status": "ready" if is_ready else "not ready", "indexes": states}, status)


@server_router.get("/metrics", openapi_extra=operation({"type": "string"}), response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Return metrics as Prometheus reads them."""
    require(request, Role.ADMIN)
    parameters(request, ())
    text = await workers_of(request).run(request.app.state.metrics.text)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


@router.get("/stats", openapi_extra=operation(STATISTICS))
async def stats(request: Request) -> Response:
    """Return what the index holds, and what it was made with."""
    index = index_of(request)
    parameters(request, ())
    return json_answer(await workers_of(request).run(lambda: stats_object(index)))


def stats_object(index: ServedIndex) -> dict[str, Any]:
    """Return the statistics of an index as JSON values, without paths."""
    found = stats_of(index.index)
    encoder, dense = found.encoder, found.dense
    return {
        "index": index.name,
        "about": index.about,
        "documents": found.n_documents,
        "deleted": found.n_deleted,
        "postings": found.n_postings,
        "terms": found.n_terms,
        "segments": found.n_segments,
        "size_bytes": found.size_bytes,
        "encoder": str(encoder.get("name", encoder["kind"])),
        "dense": None if dense is None else str(dense.get("name", dense["kind"])),
        "passages": found.passages is not None,
        "generation": found.generation,
        "created": found.created,
        "library_version": found.library_version,
        "server_version": __version__,
    }


@router.post("/encode", openapi_extra=operation(ENCODED, body=content(TO_ENCODE), problems=(409,)))
async def encode(request: Request) -> Response:
    """Encode texts, as queries or as documents, to vectors of weights by term."""
    index, limits = index_of(request), settings_of(request).limits
    body = await json_body(request)
    if not isinstance(body, dict):
        raise bad_request('the body must be a JSON object, as {"texts": ["vitamin d"], "side": "query"}')
    for name in body:
        if name not in ("texts", "side"):
            raise bad_request(f"no member {name!r:.80}: there are texts, side", name)
    texts, side = body.get("texts"), body.get("side", "query")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise bad_request("texts must be a list of texts, one at least", "texts")
    if len(texts) > limits.batch:
        raise bad_request(f"texts has {len(texts):,} texts; the limit is {limits.batch}", "texts")
    if side not in ("query", "document"):
        raise bad_request(f"side is {side!r:.60}; it must be 'query' or 'document'", "side")
    if side == "query" and (longest := max(map(len, texts))) > limits.query:
        raise bad_request(f"a query has {longest:,} characters; the limit is {limits.query:,}", "texts")
    if side == "query":
        return json_answer(await workers_of(request).run(lambda: _encoded_queries(index, texts)))
    return json_answer(await request.app.state.writers.run(lambda: _encoded_documents(index, texts)))


def _encoded_queries(index: ServedIndex, texts: list[str]) -> dict[str, Any]:
    searcher = index.searcher
    return _vectors(index, searcher.encode(texts), searcher.index.vocabulary.term)


def _encoded_documents(index: ServedIndex, texts: list[str]) -> dict[str, Any]:
    encoder = index.changer.document_encoder()
    if encoder is None:
        detail = "this encoder weighs words by statistics of the corpus, or there is none: only queries are encoded"
        raise Problem(HTTPStatus.CONFLICT, "conflict", detail)
    rows = encoder.encode_documents([Document(str(number), text) for number, text in enumerate(texts)])
    return _vectors(index, rows, encoder.terms.__getitem__)


def _vectors(index: ServedIndex, rows: SparseBatch, term: Callable[[int], str]) -> dict[str, Any]:
    described = index.index.manifest.encoder
    return {
        "encoder": str(described.get("name", described["kind"])),
        "vectors": [
            {term(term_id): weight for term_id, weight in zip(ids.tolist(), weights.tolist(), strict=True)}
            for ids, weights in rows
        ],
    }
