"""Errors as problem documents (RFC 9457): a type, a status, and the library's message, without paths of the server."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lsr.errors import (
    BadDocumentError,
    DeadlineError,
    IndexDamagedError,
    IndexLockedError,
    IndexMissingError,
    LsrError,
    UsageError,
)
from lsr.query.filters.tree import FilterError
from lsr.server.json_bytes import json_bytes

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
UNEXPECTED = "an error of the server; its log says more, under the request's id"
_PATH = re.compile(r"(?<![\w/.:])(?:~|\.{1,2})?/[^\s:;,'\"()]+")


class Problem(Exception):  # noqa: N818  as RFC 9457 calls it
    """A request that can't be answered.

    kind: short name of the kind of problem. field: parameter or member at fault. headers: further headers.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})


def bad_request(detail: str, field: str | None = None) -> Problem:
    """Return the problem of a request that is malformed or asks for too much."""
    return Problem(HTTPStatus.BAD_REQUEST, "bad-request", detail, field=field)


def problem_of(error: Exception, paths: Iterable[str] = ()) -> Problem:
    """Return the problem of an exception. paths: of the indexes, which no answer shows."""
    match error:
        case Problem():
            return error
        case HTTPException():
            status = HTTPStatus(error.status_code)
            return Problem(status, status.phrase.lower().replace(" ", "-"), error.detail, headers=error.headers)
        case DeadlineError():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too-late", str(error), headers={"Retry-After": "1"})
        case UsageError() | FilterError():
            return bad_request(_without(str(error), paths))
        case BadDocumentError():
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "bad-document", _without(str(error), paths))
        case IndexLockedError():
            detail = "another process is writing to the index: try again after it"
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "index-locked", detail, headers={"Retry-After": "5"})
        case IndexMissingError() | IndexDamagedError():
            kind = "index-missing" if isinstance(error, IndexMissingError) else "index-damaged"
            detail = f"the {kind.replace('-', ' is ')}: the server's log says more; try again once it is mended"
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, headers={"Retry-After": "30"})
        case LsrError():
            detail = _PATH.sub("…", _without(str(error), paths))
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", detail)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", UNEXPECTED)


def _without(message: str, paths: Iterable[str]) -> str:
    for path in sorted(paths, key=len, reverse=True):
        message = message.replace(path, "the index")
    return message


def problem_object(problem: Problem, request_id: str = "") -> dict[str, Any]:
    """Return a problem as JSON values."""
    shown: dict[str, Any] = {
        "type": f"urn:lsr:problem:{problem.kind}",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
    }
    shown |= {} if problem.field is None else {"field": problem.field}
    return shown | ({"request_id": request_id} if request_id else {})


async def answer_problem(request: Request, error: Exception) -> Response:
    """Answer with the problem of an exception. The server prints the traceback of what nobody foresaw."""
    paths = getattr(request.app.state, "hidden_paths", ())
    problem = problem_of(error, paths)
    if isinstance(error, LsrError) and problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error(f"{request.method} {request.url.path}: {error}")
    body = json_bytes(problem_object(problem, request.scope.get("request_id", "")))
    return Response(body, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)
