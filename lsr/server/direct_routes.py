"""Routes that are answered without FastAPI's routing, whose checks would take longer than a search of a small index."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lsr.errors import LsrError
from lsr.server.gate import path_of
from lsr.server.problems import Problem, answer_problem

Answer = Callable[[Request], Awaitable[Response]]


class DirectRoutes:
    """ASGI middleware that answers GET of some paths itself, of the first index and of each under its name.

    app: what answers everything else; it has the same routes, for their description. answers: by path.
    """

    def __init__(self, app: ASGIApp, answers: Mapping[str, Answer], names: Iterable[str]) -> None:
        self._app = app
        self._routes: dict[str, tuple[Answer, Route, dict[str, str]]] = {}
        for path, answer in answers.items():
            self._routes[path] = answer, Route(path, answer), {}
            for name in names:
                self._routes[f"/{name}{path}"] = answer, Route(f"/{{index}}{path}", answer), {"index": name}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        found = self._routes.get(path_of(scope)) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        answer, scope["route"], scope["path_params"] = found
        request = Request(scope, receive, send)
        try:
            response = await answer(request)
        except (Problem, LsrError) as error:
            response = await answer_problem(request, error)
        await response(scope, receive, send)
