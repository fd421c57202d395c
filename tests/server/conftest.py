"""Servers in this process: applications under a test client, and on real sockets."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import lsr

pytest.importorskip("fastapi", reason="lsr-search[serve] isn't installed")

from starlette.testclient import TestClient

from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.server.app import make_app
from lsr.server.run import Server, config_of, listen, url_of
from lsr.server.served_index import ServedIndex, ServedIndexes
from lsr.server.settings import ServerSettings

DOCUMENTS = [
    {"doc_id": "cats", "title": "On cats", "text": "A cat sleeps most of the day. Cats purr when they sleep well."},
    {"doc_id": "dogs", "title": "On dogs", "text": "A dog guards the house. Dogs chase cats.", "year": 2020},
    {"doc_id": "wood/trees", "text": "Trees grow slowly, and a house of their wood lasts.", "year": 2022},
    {"doc_id": "empty", "text": ""},
]

MakeIndexes = Callable[..., ServedIndexes]
Client = Callable[..., TestClient]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the four documents."""
    path = tmp_path_factory.mktemp("made") / "index"
    lsr.index(DOCUMENTS, path, encoder="bm25").close()
    return path


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """A copy of that index, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "index"))


def served(paths: Path | Mapping[str, Path], about: str = "", **options: Any) -> ServedIndexes:
    named = paths if isinstance(paths, Mapping) else {"pets": paths}
    searchers = {name: Searcher(path, options=SearchOptions.of(**options)) for name, path in named.items()}
    return ServedIndexes([ServedIndex(name, searcher, about=about) for name, searcher in searchers.items()])


@pytest.fixture
def client(path: Path) -> Iterator[Client]:
    """Make a client of a server of the index, or of others by name. settings: of the server."""
    with ExitStack() as stack:

        def make(
            paths: Path | Mapping[str, Path] | None = None,
            options: Mapping[str, Any] | None = None,
            *,
            base_url: str = "http://localhost",
            mcp: Callable[[ServedIndexes, ServerSettings], Any] | None = None,
            **settings: Any,
        ) -> TestClient:
            indexes = served(path if paths is None else paths, **(options or {}))
            chosen = ServerSettings(**settings)
            app = make_app(indexes, chosen, mcp=None if mcp is None else mcp(indexes, chosen))
            return stack.enter_context(TestClient(app, base_url=base_url, raise_server_exceptions=False))

        yield make


@pytest.fixture
def running(path: Path) -> Iterator[Callable[..., str]]:
    """Run a server of the index on a socket, in a thread; return its address."""
    started: list[tuple[Server, threading.Thread]] = []

    def run(*, mcp: Callable[[ServedIndexes, ServerSettings], Any] | None = None, **settings: Any) -> str:
        chosen = ServerSettings(port=0, **settings)
        indexes = served(path)
        app = make_app(indexes, chosen, mcp=None if mcp is None else mcp(indexes, chosen))
        listening = listen(chosen)
        server = Server(config_of(app, chosen), with_signals=False)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        started.append((server, thread))
        return url_of(listening).rstrip("/")

    yield run
    for server, thread in started:
        server.should_exit = True
        thread.join()


def lines(records: Sequence[Any]) -> str:
    """Return records as JSON lines."""
    return "".join(json.dumps(record) + "\n" for record in records)
