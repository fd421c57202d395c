"""Soak test of a running server: many held connections, slow clients, and searches beside changes.

python -m lsr.eval.bench.serving.soak http://127.0.0.1:8754 PID --queries queries.jsonl --connections 1000 \
  --requests 20000 --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from lsr.eval.bench.serving.http_load import run_load, texts_of

WORDS = ("vitamin", "cancer", "diet", "heart", "fish", "protein", "risk", "women")


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def descriptors(pid: int) -> int:
    """Return the number of open descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def held(url: str, pid: int, paths: Sequence[str], *, connections: int, requests: int) -> None:
    """Hold connections, a tenth of them by slow clients, and print statuses, memory and descriptors.

    Caches are filled before memory is read: by asking for all paths, and by as many connections once.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    await run_load(url, paths, connections=connections, requests=2 * max(len(paths), connections))
    await asyncio.sleep(1)  # until the server has closed what these had open
    before = memory_mb(pid), descriptors(pid)
    slow = [await asyncio.open_connection(host, port) for _ in range(connections // 10)]
    for _, writer in slow:
        writer.write(b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Le")
    load = await run_load(url, paths, connections=connections - len(slow), requests=requests)
    for _, writer in slow:
        writer.close()
    await asyncio.sleep(1)
    after = memory_mb(pid), descriptors(pid)
    _say(f"{connections} connections: {dict(load.statuses)}; memory {before[0]:.0f} to {after[0]:.0f} MB")
    _say(f"descriptors {before[1]} to {after[1]}; {load.rate:.0f} requests/s, p99 {load.percentile(0.99):.0f} ms")


async def beside_changes(url: str, paths: Sequence[str], seconds: float) -> None:
    """Search for some time while a writer puts and deletes documents, each looked for when it is acknowledged."""
    found: Counter[str] = Counter()
    reading = asyncio.create_task(run_load(url, paths, connections=8, seconds=seconds))
    await asyncio.to_thread(_write, url, seconds, found)
    load = await reading
    _say(f"beside changes: searches {dict(load.statuses)}, changes {dict(found)}")


def _write(url: str, seconds: float, found: Counter[str]) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def ask(method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    ends, number = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        number += 1
        word = f"zebra{number}"
        status, _ = ask("PUT", f"/documents/soak-{number}", {"text": f"the word {word}"})
        found[f"put {status}"] += 1
        hits = ask("GET", f"/search?q={word}")[1]["hits"]
        found["found" if hits else "lost"] += 1
        if number % 2:
            status, _ = ask("DELETE", f"/documents/soak-{number}")
            found[f"deleted {status}"] += 1
            found["still there" if ask("GET", f"/search?q={word}")[1]["hits"] else "gone"] += 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> None:
    """Run both parts and print their outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("pid", type=int, help="of the server, for its memory and descriptors")
    parser.add_argument("--queries", type=Path, help="BEIR queries.jsonl (default: eight words)")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    texts = WORDS if args.queries is None else texts_of(args.queries)
    paths = [f"/search?q={quote(text)}&k=10" for text in texts]
    asyncio.run(held(args.url, args.pid, paths, connections=args.connections, requests=args.requests))
    asyncio.run(beside_changes(args.url, paths, args.seconds))


if __name__ == "__main__":
    main()
