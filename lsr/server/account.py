"""Processor time of one request to the server, step by step, in this process: without sockets and other requests.

python -m lsr.server.account INDEX queries.jsonl

The steps are those of a plain search, as `GET /search` takes them; `everything` is the whole application, from the
parsed head of a request to the bytes of its answer. Each step is done for all queries once before it is timed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lsr.eval.bench.serving.http_load import texts_of
from lsr.output.hit_view import HitView, viewed_hit
from lsr.query.explain.snippet import QueryWords, find_snippet
from lsr.query.searcher import Searcher
from lsr.query.stages import search_text
from lsr.server.app import make_app
from lsr.server.json_bytes import json_bytes
from lsr.server.rest.answers import search_object
from lsr.server.rest.parameters import options_of_pairs
from lsr.server.served_index import ServedIndex, ServedIndexes
from lsr.server.settings import ServerSettings


def account(index: Path, texts: Sequence[str]) -> dict[str, float]:
    """Return the microseconds that each step takes of one request, by its name."""
    searcher = Searcher(index)
    searcher.warm_up()
    served = ServedIndexes([ServedIndex("index", searcher)])
    settings, view = ServerSettings(), HitView()
    asked = [options_of_pairs([("q", text), ("k", "10")], searcher.options, settings.limits) for text in texts]
    options = asked[0].options
    found = [search_text(searcher, text, options) for text in texts]
    hits = [searcher.hits(one.ranking, options=options) for one in found]
    words = [QueryWords(text, searcher.index.manifest.encoder) for text in texts]
    shown = [search_object(searcher, text, options, view) for text in texts]
    app, encoder = make_app(served, settings), searcher.index.manifest.encoder
    steps: dict[str, Callable[[int], Any]] = {
        "parameters": lambda i: options_of_pairs([("q", texts[i]), ("k", "10")], searcher.options, settings.limits),
        "newest generation": lambda _: served.first.searcher,
        "encoding": lambda i: searcher.encode([texts[i]]),
        "search, with encoding": lambda i: search_text(searcher, texts[i], options),
        "documents": lambda i: searcher.hits(found[i].ranking, options=options),
        "words of the query": lambda i: QueryWords(texts[i], encoder),
        "snippets": lambda i: [find_snippet(hit.text, words[i], view.snippet) for hit in hits[i]],
        "hits, with snippets": lambda i: [viewed_hit(hit, words[i], view) for hit in hits[i]],
        "JSON": lambda i: json_bytes(shown[i]),
    }
    taken = {name: _microseconds(step, len(texts)) for name, step in steps.items()}
    return taken | {"everything": asyncio.run(_whole(app, texts))}


def _microseconds(step: Callable[[int], Any], n: int) -> float:
    for i in range(n):
        step(i)
    began = time.process_time()
    for i in range(n):
        step(i)
    return (time.process_time() - began) / n * 1e6


async def _whole(app: Any, texts: Sequence[str]) -> float:
    for text in texts:
        await _request(app, text)
    began = time.process_time()
    for text in texts:
        await _request(app, text)
    return (time.process_time() - began) / len(texts) * 1e6


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
