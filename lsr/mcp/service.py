"""The MCP server of some indexes, on the official SDK, and the ways in which clients reach it."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send

from lsr.errors import LsrError
from lsr.mcp.document_tools import get_document_tool, get_documents_tool
from lsr.mcp.index_tools import list_fields_tool, status_tool
from lsr.mcp.search_tool import search_tool
from lsr.query.deadline import deadline
from lsr.server.problems import Problem, problem_of
from lsr.server.served_index import ServedIndexes
from lsr.server.settings import Limits
from lsr.version import __version__

log = logging.getLogger(__name__)


class Service:
    """The tools of some indexes, for an SDK's server."""

    def __init__(self, indexes: ServedIndexes, limits: Limits, hidden_paths: tuple[str, ...] = ()) -> None:
        self._indexes = indexes
        self._limits = limits
        self._hidden = hidden_paths
        tools = (search_tool(), get_document_tool(), get_documents_tool(), list_fields_tool(), status_tool())
        self._tools = {tool.name: tool for tool in tools}
        self._threads = anyio.CapacityLimiter(limits.threads)
        self.server: Server[Any] = Server(
            "lsr",
            version=__version__,
            instructions=self._instructions(),
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    def _instructions(self) -> str:
        about = "; ".join(f"{one.name}: {one.about}" for one in self._indexes.values() if one.about)
        return "Search documents, and read them." + (f" The indexes: {about}" if about else "")

    def _described(self, description: str) -> str:
        about = [f"{one.name}: {one.about}" if len(self._indexes) > 1 else one.about for one in self._indexes.values()]
        known = "; ".join(text for text in about if text and not text.endswith(": "))
        return f"{description} About: {known}" if known else description

    async def _list(self, context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        tools = [
            types.Tool(
                name=tool.name,
                description=self._described(tool.description)
                if tool.name in ("search", "status")
                else tool.description,
                input_schema=tool.schema(self._indexes),
                annotations=types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
            )
            for tool in self._tools.values()
        ]
        return types.ListToolsResult(tools=tools)

    async def _call(self, context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = self._tools.get(params.name)
        if tool is None:
            return _answer(f"no tool {params.name!r:.80}: there are {', '.join(self._tools)}", is_error=True)
        ends = time.monotonic() + self._limits.deadline_s

        def work() -> str:
            with deadline(ends):
                return tool.call(self._indexes, params.arguments or {})

        try:
            return _answer(await anyio.to_thread.run_sync(work, limiter=self._threads))
        except (LsrError, Problem) as error:
            return _answer(problem_of(error, self._hidden).detail, is_error=True)
        except Exception:
            log.exception(f"the tool {tool.name} failed")
            return _answer("an error of the server; its log says more", is_error=True)

    async def serve_stdio(self) -> None:
        """Serve the client at stdin and stdout until it leaves."""
        async with stdio_server() as (received, sent):
            await self.server.run(received, sent, self.server.create_initialization_options())


class HttpService:
    """The streamable HTTP endpoint of a service: an ASGI application that runs within `running`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Accept requests. Host and Origin are checked before, by the gate of the server."""
        manager = StreamableHTTPSessionManager(self._service.server, json_response=True, stateless=True)
        async with manager.run():
            self._manager = manager
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        assert self._manager is not None
        await self._manager.asgi_app(scope, receive, send)


def _answer(text: str, *, is_error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)
