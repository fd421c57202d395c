"""The gate that every request passes: checks of host, origin, key and body, and the log."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lsr.server.access_log import AccessLog
from lsr.server.json_bytes import json_bytes
from lsr.server.keys import Keys, Role, key_of
from lsr.server.metrics import Metrics
from lsr.server.origins import Hosts, is_foreign
from lsr.server.problems import MEDIA_TYPE, Problem, problem_object
from lsr.server.settings import Limits

OPEN_PATHS = frozenset(("/health", "/ready"))
"""Paths that a load balancer asks for, without a key."""
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
BODY_TYPES = frozenset(
    ("application/json", "application/x-ndjson", "application/jsonl", "application/x-jsonlines")
)  # fmt: skip
"""Kinds of a body. A form of a page from elsewhere can send none of them without asking first."""
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Headers of every answer that doesn't have them otherwise."""
CHALLENGE = 'Bearer realm="lsr", Basic realm="lsr", charset="UTF-8"'
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """The checks of the gate. keys: None where none are needed. cors: origins whose pages may use the server.

    root_path: path of the server behind its proxy.
    """

    hosts: Hosts
    keys: Keys | None
    limits: Limits
    read_only: bool = False
    cors: Collection[str] = ()
    root_path: str = ""

    @property
    def role_without_key(self) -> Role:
        """The role of a request where no keys are needed."""
        return Role.READ if self.read_only else Role.ADMIN


class Gate:
    """ASGI middleware that refuses what the guards refuse, and counts and logs all requests."""

    def __init__(self, app: ASGIApp, guards: Guards, metrics: Metrics, access_log: AccessLog | None = None) -> None:
        self._app = app
        self._guards = guards
        self._metrics = metrics
        self._log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if self._guards.root_path:
            scope["root_path"] = self._guards.root_path
        given_id = headers.get(b"x-request-id", b"")
        request_id = given_id.decode() if _REQUEST_ID.fullmatch(given_id) else secrets.token_hex(8)
        scope["request_id"], scope["role"] = request_id, Role.NONE
        answer = _Answer(send, request_id, self._cors_headers(headers), is_head=scope["method"] == "HEAD")
        if answer.is_head:
            scope["method"] = "GET"
        try:
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await _send_problem(refusal, request_id, answer.send)
            elif scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                await answer.send({"type": "http.response.start", "status": 204, "headers": []})
                await answer.send({"type": "http.response.body", "body": b""})
            else:
                await self._app(scope, _Body(receive, self._guards.limits).receive, answer.send)
        finally:
            self._count(scope, answer, time.perf_counter() - began)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Problem | None:
        """Return the problem of a request that isn't let in; note its role otherwise."""
        guards = self._guards
        host = headers.get(b"host", b"localhost").decode("latin-1")
        if not guards.hosts.admits(host):
            return Problem(
                HTTPStatus.FORBIDDEN,
                "unknown-host",
                f"the server doesn't know itself as {host!r:.100}: it is started with --allow-host NAME for that",
            )
        method, path = scope["method"], path_of(scope)
        origin = _text(headers.get(b"origin"))
        if method not in SAFE:
            site = _text(headers.get(b"sec-fetch-site"))
            if is_foreign(origin, host, named=guards.cors, site=site):
                return Problem(
                    HTTPStatus.FORBIDDEN,
                    "foreign-origin",
                    f"pages of {origin or 'another site'!r:.100} can't do this here",
                )
            if (problem := self._body_problem(headers)) is not None:
                return problem
        if guards.keys is None:
            scope["role"] = guards.role_without_key
            return None
        key = key_of(headers.get(b"authorization"), headers.get(b"x-api-key"))
        if key is not None:
            scope["role"] = guards.keys.role_of(key)
        if path in OPEN_PATHS or method == "OPTIONS" or scope["role"] >= Role.READ:
            return None
        detail = "give a key: Authorization: Bearer KEY" if key is None else "this key is none of the server's"
        return Problem(HTTPStatus.UNAUTHORIZED, "no-key", detail, headers={"WWW-Authenticate": CHALLENGE})

    def _body_problem(self, headers: dict[bytes, bytes]) -> Problem | None:
        length = headers.get(b"content-length", b"0")
        limit = self._guards.limits.body
        if length.isdigit() and int(length) > limit:
            return _too_large(limit)
        if length == b"0" and b"transfer-encoding" not in headers:
            return None
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
        if kind in BODY_TYPES:
            return None
        there = ", ".join(sorted(BODY_TYPES))
        detail = f"the body is of type {kind!r:.60}; there are {there}: set the header Content-Type"
        return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-type", detail, headers={"Connection": "close"})

    def _cors_headers(self, headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        cors, origin = self._guards.cors, headers.get(b"origin")
        if not cors or origin is None or (origin.decode("latin-1") not in cors and "*" not in cors):
            return []
        found = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        if b"access-control-request-method" in headers:
            found += [
                (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
                (b"access-control-allow-headers", b"authorization, content-type, x-api-key, x-request-id"),
                (b"access-control-max-age", b"600"),
            ]
        return found

    def _count(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = "HEAD" if answer.is_head else scope["method"]
        self._metrics.observe_request(route, method if method in _METHODS else "other", answer.status, seconds)
        if self._log is None:
            return
        client = scope.get("client")
        entry: dict[str, Any] = {
            "request_id": scope["request_id"],
            "client": client[0] if client else None,
            "method": method,
            "path": scope["path"],
            "status": answer.status,
            "ms": round(seconds * 1000, 3),
            "bytes": answer.n_bytes,
            "role": scope["role"].name.lower(),
        }
        if self._log.with_queries:
            entry["query"] = scope.get("query_string", b"").decode("latin-1")
        self._log.write(entry)


_METHODS = SAFE | {"POST", "PUT", "DELETE", "PATCH"}


class _Body:
    """The body of a request, received as long as it is small enough and its client isn't silent."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive = receive
        self._limits = limits
        self._n_bytes = 0
        self._is_complete = False

    async def receive(self) -> Message:
        """Return the next part. Raises Problem (408, 413)."""
        if self._is_complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._limits.silence_s)
        except TimeoutError:
            detail = f"no part of the body came for {self._limits.silence_s:g} seconds"
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "too-slow", detail, headers={"Connection": "close"}) from None
        if message["type"] == "http.request":
            self._n_bytes += len(message.get("body", b""))
            self._is_complete = not message.get("more_body", False)
            if self._n_bytes > self._limits.body:
                raise _too_large(self._limits.body)
        return message


class _Answer:
    """Sends an answer with common headers, and remembers its status and size. is_head: leave out the body."""

    def __init__(self, send: Send, request_id: str, extra: list[tuple[bytes, bytes]], *, is_head: bool) -> None:
        self._send = send
        self._extra = [(b"x-request-id", request_id.encode()), *extra]
        self.is_head = is_head
        self.status = 0
        self.n_bytes = 0

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            there = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *self._extra,
                *(header for header in HEADERS if header[0] not in there),
            ]
        elif message["type"] == "http.response.body":
            self.n_bytes += len(message.get("body", b""))
            if self.is_head:
                message = {**message, "body": b""}
        await self._send(message)


def _too_large(limit: int) -> Problem:
    detail = f"the body is larger than {limit:,} bytes, the limit: send it in several requests"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail, headers={"Connection": "close"})


def path_of(scope: Scope) -> str:
    """Return the path of a request, without the prefix of the server behind its proxy."""
    path, root = scope["path"], scope.get("root_path", "")
    return str(path.removeprefix(root) if root else path)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


async def _send_problem(problem: Problem, request_id: str, send: Send) -> None:
    body = json_bytes(problem_object(problem, request_id))
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers.items()]
    headers += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": problem.status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})
