"""The endpoint /mcp of the server, asked by the client of the official SDK, behind the server's guards."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("mcp", reason="lsr-search[mcp] isn't installed")

import anyio
from mcp.client.client import Client
from starlette.testclient import TestClient

from lsr.mcp.service import HttpService, Service
from lsr.server.keys import Keys, Role
from lsr.server.served_index import ServedIndexes
from lsr.server.settings import ServerSettings

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def endpoint(indexes: ServedIndexes, settings: ServerSettings) -> HttpService:
    return HttpService(Service(indexes, settings.limits, indexes.paths))


def test_the_sdk_s_client_searches_over_http(running: Callable[..., str]) -> None:
    url = running(mcp=endpoint)

    async def run() -> tuple[list[str], str]:
        async with Client(f"{url}/mcp") as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            result = await client.call_tool("search", {"query": "sleeping cats", "k": 1})
            return tools, str(result.content[0].text)

    tools, text = (
        ThreadPoolExecutor(1).submit(anyio.run, run).result()
    )  # the browser's tests have a loop in this thread
    assert "search" in tools and text.startswith("1. cats:1 On cats")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"authorization": "Bearer " + "x" * 20}, 401),
        ({}, 401),
    ],
)
def test_host_origin_and_key_are_checked(
    client: Callable[..., TestClient], headers: dict[str, str], status: int
) -> None:
    asked = client(mcp=endpoint, keys=Keys([(Role.READ, "r" * 20)]))
    accepted = {"accept": "application/json, text/event-stream"}
    answer: Any = asked.post("/mcp", json=PING, headers={**accepted, **headers})
    assert answer.status_code == status
