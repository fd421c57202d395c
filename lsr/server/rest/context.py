"""Parts of the application that routes use: the index of a request, and the threads that work for it."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from lsr.server.json_bytes import json_bytes
from lsr.server.keys import Role
from lsr.server.problems import Problem
from lsr.server.served_index import ServedIndex, ServedIndexes
from lsr.server.settings import ServerSettings
from lsr.server.workers import Workers

JSON = "application/json"


def settings_of(request: Request) -> ServerSettings:
    """Return the settings of the server."""
    return cast(ServerSettings, request.app.state.settings)


def workers_of(request: Request) -> Workers:
    """Return the threads that searches run in."""
    return cast(Workers, request.app.state.workers)


def writers_of(request: Request) -> Workers:
    """Return the thread that changes are made in, one after another."""
    return cast(Workers, request.app.state.writers)


def index_of(request: Request) -> ServedIndex:
    """Return the index that a path names, or the first. Raises Problem (404) for an unknown name."""
    indexes: ServedIndexes = request.app.state.indexes
    name = request.path_params.get("index")
    if name is None:
        return indexes.first
    found = indexes.get(name)
    if found is None:
        there = ", ".join(indexes)
        raise Problem(HTTPStatus.NOT_FOUND, "unknown-index", f"no index {name!r:.80}: there are {there}")
    return found


def base_of(request: Request) -> str:
    """Return the path of the request's index, as clients see it: behind a proxy's prefix, and without the origin."""
    root: str = request.scope.get("root_path", "").rstrip("/")
    name = request.path_params.get("index")
    return root if name is None else f"{root}/{name}"


def require(request: Request, role: Role) -> None:
    """Raise Problem (403) where the request's key hasn't a role."""
    if request.scope.get("role", Role.NONE) >= role:
        return
    if settings_of(request).read_only:
        detail = "the server is read-only: it is started without --read-only for changes"
    else:
        detail = f"this needs a key with the role {role.name.lower()}"
    raise Problem(HTTPStatus.FORBIDDEN, "forbidden", detail)


def json_answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return values as an answer of JSON."""
    return Response(json_bytes(value), status, media_type=JSON)
