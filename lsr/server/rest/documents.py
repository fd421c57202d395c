"""Routes of documents: read, scrolled through, put, deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lsr.io.option_spec import FALSE, TRUE
from lsr.server.keys import Role
from lsr.server.problems import Problem, bad_request
from lsr.server.records import RecordReader, json_value
from lsr.server.rest.answers import document_url
from lsr.server.rest.context import JSON, base_of, index_of, json_answer, require, settings_of, workers_of, writers_of
from lsr.server.rest.openapi import (
    DELETION,
    DOCUMENT,
    LINES,
    LISTED,
    NEW_DOCUMENT,
    NEW_WITH_ID,
    PUT,
    REMOVED,
    TRUTH,
    content,
    list_parameters,
    operation,
    path_parameter,
    query_parameter,
)
from lsr.server.rest.search import json_body, pairs_of
from lsr.server.scrolling import documents_after, parse_cursor
from lsr.types import Document

JSON_LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
PAGE = 100
"""Documents of a page, by default."""

Result = TypeVar("Result")
router = APIRouter()


def document_object(document: Document, base: str, *, text: bool = True) -> dict[str, Any]:
    """Return a document as JSON values."""
    shown: dict[str, Any] = {"doc_id": document.doc_id, "title": document.title}
    shown |= {"text": document.text} if text else {}
    return shown | {"fields": dict(document.fields), "url": document_url(base, document.doc_id)}


def no_document(doc_id: str) -> Problem:
    """Return the problem of an unknown id."""
    return Problem(HTTPStatus.NOT_FOUND, "unknown-document", f"no document {doc_id!r:.200}", field="doc_id")


@router.get("/documents/{doc_id:path}", openapi_extra=operation(DOCUMENT, parameters=[path_parameter()]))
async def get_document(request: Request) -> Response:
    """Return a document by its id."""
    index, doc_id = index_of(request), str(request.path_params["doc_id"])
    if not doc_id:
        return await list_documents(request)
    parameters(request, ())
    found = await workers_of(request).run(lambda: index.document(doc_id))
    if found is None:
        raise no_document(doc_id)
    return json_answer(document_object(found, base_of(request)))


@router.put(
    "/documents/{doc_id:path}",
    openapi_extra=operation(
        PUT, parameters=[path_parameter()], body=content(NEW_DOCUMENT), more={201: PUT}, problems=(409, 422)
    ),
)
async def put_document(request: Request) -> Response:
    """Add a document, in the place of the one with its id if there is one; durable when it is answered."""
    require(request, Role.WRITE)
    index, doc_id = index_of(request), str(request.path_params["doc_id"])
    record = RecordReader().record(await json_body(request), 0, doc_id)
    done = await _change(request, lambda: index.changer.put([record]))
    return json_answer(
        {"doc_id": doc_id, "url": document_url(base_of(request), doc_id)} | asdict(done),
        HTTPStatus.CREATED if done.added else HTTPStatus.OK,
    )


@router.delete("/documents/{doc_id:path}", openapi_extra=operation(REMOVED, parameters=[path_parameter()]))
async def delete_document(request: Request) -> Response:
    """Delete a document by its id."""
    require(request, Role.WRITE)
    index, doc_id = index_of(request), str(request.path_params["doc_id"])
    parameters(request, ())
    done = await _change(request, lambda: index.changer.delete([doc_id]))
    if not done.deleted:
        raise no_document(doc_id)
    return json_answer({"doc_id": doc_id, "deleted": done.deleted, "generation": done.generation})


@router.get("/documents", openapi_extra=operation(LISTED, parameters=list_parameters(), problems=(410,)))
async def list_documents(request: Request) -> Response:
    """Return a page of all documents, in the order in which they were added, and the cursor of the next."""
    index, limits = index_of(request), settings_of(request).limits
    given = parameters(request, ("after", "limit", "where", "text"))
    limit = _count(given.get("limit", str(PAGE)), "limit", limits.documents)
    where, text = given.get("where"), _truth(given.get("text", "0"), "text")
    if where is not None and len(where) > limits.query:
        raise bad_request(f"where has {len(where):,} characters; the limit is {limits.query:,}", "where")
    base = base_of(request)

    def work() -> dict[str, Any]:
        newest = index.index
        generation, position = newest.manifest.generation, 0
        if "after" in given:
            generation, position = parse_cursor(given["after"])
        at = index.scrolls.at(newest, generation)
        bitmaps = None
        if where is not None:
            from lsr.query.filters.masks import compile_filter

            bitmaps = compile_filter(at, where).bitmaps
        found = list(islice(documents_after(at, position, bitmaps), limit + 1))
        shown: dict[str, Any] = {
            "documents": [document_object(document, base, text=text) for _, document in found[:limit]],
            "generation": generation,
        }
        return shown | ({"next": f"{generation}.{found[limit - 1][0]}"} if len(found) > limit else {})

    return json_answer(await workers_of(request).run(work))


@router.post(
    "/documents",
    openapi_extra=operation(
        PUT,
        parameters=[query_parameter("only_new", TRUTH)],
        body={"content": {JSON: {"schema": {"type": "array", "items": NEW_WITH_ID, "minItems": 1}}, **LINES}},
        problems=(409, 422),
    ),
)
async def put_documents(request: Request) -> Response:
    """Add or replace many documents in one change, all or none: JSON lines, or a list of JSON objects."""
    require(request, Role.WRITE)
    index = index_of(request)
    given = parameters(request, ("only_new",))
    only_new = _truth(given.get("only_new", "0"), "only_new")
    body, reader = await request.body(), RecordReader()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()

    def work() -> Any:
        if kind in JSON_LINES:
            records = list(reader.lines(body))
        else:
            values = json_value(body)
            values = values if isinstance(values, list) else [values]
            records = [reader.record(value, number) for number, value in enumerate(values)]
        if not records:
            raise bad_request("there is no document in the body; give one JSON object a line, or a list of them")
        return index.changer.put(records, only_new=only_new)

    return json_answer(asdict(await _change(request, work)))


@router.post("/delete", openapi_extra=operation(REMOVED, body=content(DELETION)))
async def delete_documents(request: Request) -> Response:
    """Delete documents by their ids, or all that a filter finds. dry_run: only count them."""
    require(request, Role.WRITE)
    index, limits = index_of(request), settings_of(request).limits
    body = await json_body(request)
    if not isinstance(body, dict) or ("ids" in body) == ("where" in body):
        raise bad_request('give {"ids": [...]} or {"where": "a filter"}, and one of them')
    for name in body:
        if name not in ("ids", "where", "dry_run"):
            raise bad_request(f"no member {name!r:.80}: there are ids, where, dry_run", name)
    ids, where, dry_run = body.get("ids"), body.get("where"), body.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise bad_request("dry_run must be true or false", "dry_run")
    if where is not None:
        if not isinstance(where, str) or not where.strip() or len(where) > limits.query:
            raise bad_request(f"where must be a filter of at most {limits.query:,} characters", "where")
        return json_answer(asdict(await _change(request, lambda: index.changer.delete_where(where, dry_run=dry_run))))
    if not isinstance(ids, list) or not ids or not all(isinstance(doc_id, str) for doc_id in ids):
        raise bad_request("ids must be a list of doc_ids, one at least", "ids")
    return json_answer(asdict(await _change(request, lambda: index.changer.delete(ids, dry_run=dry_run))))


@router.post("/merge", openapi_extra=operation({"type": "object"}))
async def merge(request: Request) -> Response:
    """Merge the segments of the index into one."""
    require(request, Role.ADMIN)
    index = index_of(request)
    parameters(request, ())
    return json_answer({"generation": await _change(request, index.changer.merge)})


async def _change(request: Request, work: Callable[[], Result]) -> Result:
    """Return the result of a change, after the changes before it. Its client may leave meanwhile."""
    return await writers_of(request).run(work)


def parameters(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    """Return the parameters of a query string, each known and given once. Raises Problem."""
    pairs = pairs_of(request)
    for name, _ in pairs:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "it takes none"
            raise bad_request(f"no parameter {name!r:.80}: {there}", name)
    if len(dict(pairs)) < len(pairs):
        raise bad_request("a parameter is given twice; give each once")
    return dict(pairs)


def _count(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and 1 <= int(text) <= most):
        raise bad_request(f"{name} is {text!r:.60}; it must be a whole number from 1 to {most:,}", name)
    return int(text)


def _truth(text: str, name: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise bad_request(f"{name} is {text!r:.60}; it must be 0 or 1", name)
    return text.lower() in TRUE
