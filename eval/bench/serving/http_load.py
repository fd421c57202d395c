"""Requests a second of a server over kept connections: a small load generator on raw sockets.

python -m lsr.eval.bench.serving.http_load http://127.0.0.1:8754 queries.jsonl --connections 16 --seconds 10
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit


@dataclass
class Load:
    """The outcome of a run: counts by status, and latencies in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, part: float) -> float:
        """Return the latency that a part of the requests stays below, in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]


async def one_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, host: str) -> int:
    """Send a GET request over a connection and read its answer whole; return the status."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(length)
    return int(head[9:12])


async def run_load(
    url: str, paths: Sequence[str], *, connections: int, seconds: float = 1e9, requests: int | None = None
) -> Load:
    """Ask for paths over and over, on several connections at once, for some time or a number of requests."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    load, began = Load(), time.perf_counter()
    left = [requests if requests is not None else 1 << 60]

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        at = number
        while left[0] > 0 and time.perf_counter() - began < seconds:
            left[0] -= 1
            sent = time.perf_counter()
            status = await one_request(reader, writer, paths[at % len(paths)], f"{host}:{port}")
            load.latencies.append(time.perf_counter() - sent)
            load.statuses[status] += 1
            at += connections
        writer.close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    load.seconds = time.perf_counter() - began
    return load


def texts_of(path: Path) -> list[str]:
    """Return the texts of a file of queries as BEIR has them."""
    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]


def main() -> None:
    """Run a load and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("queries", type=Path, help="BEIR queries.jsonl")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--extra", default="", help="further parameters, as &k=10")
    args = parser.parse_args()
    texts = texts_of(args.queries)
    paths = [f"/search?q={quote(text)}{args.extra}" for text in texts]
    load = asyncio.run(run_load(args.url, paths, connections=args.connections, seconds=args.seconds))
    p50, p99 = load.percentile(0.5), load.percentile(0.99)
    line = f"{load.rate:.0f} requests/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms, statuses {dict(load.statuses)}"
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
