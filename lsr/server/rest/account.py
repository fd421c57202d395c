"""Processor time of one request to the server, step by step, in this process: without sockets and other requests.

python -m lsr.server.rest.account INDEX queries.jsonl

The steps are those of a plain search, as `GET /search` takes them; `everything` is the whole application, from the
parsed head of a request to the bytes of its answer. All queries are asked once before anything is timed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lsr.eval.bench.serving.http_load import texts_of
from lsr.output.hit_view import HitView, viewed_hit
from lsr.query.explain.snippet import QueryWords
from lsr.query.searcher import Searcher
from lsr.query.stages import search_text
from lsr.server.app import make_app
from lsr.server.rest.json_bytes import json_bytes
from lsr.server.rest.parameters import options_of_pairs
from lsr.server.served_index import ServedIndex, ServedIndexes
from lsr.server.settings import ServerSettings

STEPS = ("newest generation", "parameters", "encoding and search", "documents", "hits and snippets", "JSON")


def account(index: Path, texts: Sequence[str]) -> dict[str, float]:
    """Return the microseconds that each step takes of one request, by its name, and those of the whole."""
    searcher = Searcher(index)
    searcher.warm_up(wait=True)
    served = ServedIndexes([ServedIndex("index", searcher)])
    settings = ServerSettings()
    taken: dict[str, float] = {}
    for _ in range(2):  # the first time fills caches
        taken = dict.fromkeys(STEPS, 0.0)
        for text in texts:
            _add_steps(taken, served, settings, text)
    steps = {name: seconds / len(texts) * 1e6 for name, seconds in taken.items()}
    whole = asyncio.run(_whole(make_app(served, settings), texts))
    return steps | {"gate, routing, answer": whole - sum(steps.values()), "everything": whole}


def _add_steps(taken: dict[str, float], served: ServedIndexes, settings: ServerSettings, text: str) -> None:
    """Take the steps of a search one after another, and add the seconds of each."""
    clock, view = time.thread_time, HitView()
    times = [clock()]
    searcher = served.first.searcher
    times.append(clock())
    asked = options_of_pairs([("q", text), ("k", "10")], searcher.options, settings.limits)
    times.append(clock())
    found = search_text(searcher, text, asked.options)
    times.append(clock())
    results = searcher.results_of(found, text, asked.options)
    times.append(clock())
    words = QueryWords(text, searcher.index.manifest.encoder)
    shown = [viewed_hit(hit, words, view) for hit in results]
    times.append(clock())
    json_bytes({"query": text, "hits": shown})
    times.append(clock())
    for name, began, ended in zip(STEPS, times, times[1:], strict=False):
        taken[name] += ended - began


async def _whole(app: Any, texts: Sequence[str]) -> float:
    for text in texts:
        await _request(app, text)
    began = time.thread_time()
    for text in texts:
        await _request(app, text)
    return (time.thread_time() - began) / len(texts) * 1e6


async def _request(app: Any, text: str) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    statuses: list[Any] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/search", "raw_path": b"/search", "query_string": f"q={quote(text)}&k=10".encode(), "root_path": "",
        "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    if statuses[0] != 200:
        sys.exit(f"status {statuses[0]} for {text!r}")


def main() -> None:
    """Print the account."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("queries", type=Path, help="BEIR queries.jsonl")
    args = parser.parse_args()
    for name, taken in account(args.index, texts_of(args.queries)).items():
        sys.stdout.write(f"{name:24} {taken:7.0f} µs\n")


if __name__ == "__main__":
    main()
