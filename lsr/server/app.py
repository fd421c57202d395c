"""The application of `lsr serve`: REST and pages of one or several indexes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Protocol

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lsr.errors import LsrError
from lsr.server import page_routes
from lsr.server.direct_routes import DirectRoutes
from lsr.server.gate import Gate, Guards
from lsr.server.metrics import Metrics
from lsr.server.origins import Hosts
from lsr.server.problems import Problem, answer_problem
from lsr.server.rest import documents, search, status
from lsr.server.served_index import ServedIndexes
from lsr.server.settings import ServerSettings
from lsr.server.workers import Workers
from lsr.version import __version__

ROUTERS = (search.router, documents.router, status.router, page_routes.router)
"""Routes of an index, at the top and under its name."""


class Endpoint(Protocol):
    """An ASGI application that accepts requests while it is running."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Accept requests."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        ...


def make_app(indexes: ServedIndexes, settings: ServerSettings, *, mcp: Endpoint | None = None) -> FastAPI:
    """Return the application that serves indexes: the first at `/…`, and each at `/NAME/…`. mcp: endpoint of agents."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with nullcontext() if mcp is None else mcp.running():
            yield
        writers.close()
        workers.close()

    app = FastAPI(title="lsr", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    workers = Workers(settings.limits.threads, settings.limits.waiting)
    app.state.indexes = indexes
    app.state.settings = settings
    app.state.workers = workers
    app.state.writers = writers = Workers(1, settings.limits.waiting, "lsr-write")
    app.state.hidden_paths = indexes.paths
    app.state.metrics = metrics = Metrics(indexes, lambda: workers.n_calls + writers.n_calls)
    guards = Guards(
        hosts=Hosts(settings.host, settings.allow_hosts),
        keys=settings.keys,
        limits=settings.limits,
        read_only=settings.read_only,
        cors=settings.cors,
        root_path=settings.root_path,
    )
    app.add_middleware(DirectRoutes, answers={"/search": search.search}, names=tuple(indexes))
    app.add_middleware(Gate, guards=guards, metrics=metrics, access_log=settings.access_log)
    for kind in (Problem, LsrError, HTTPException, Exception):
        app.add_exception_handler(kind, answer_problem)
    if mcp is not None:
        app.router.routes.append(Route("/mcp", mcp, methods=["GET", "POST", "DELETE"]))
    for router in (status.server_router, *ROUTERS):
        app.include_router(router)
    for router in ROUTERS:
        app.include_router(router, prefix="/{index}", include_in_schema=False)
    return app
