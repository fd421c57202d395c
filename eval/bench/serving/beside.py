"""Requests a second of several servers, taken in turns on one machine, by `wrk`, a load generator in C.

python -m lsr.eval.bench.serving.beside queries.jsonl --server "old=old/lsr serve --index a --port 0" \
  --server "new=lsr serve --index a --port 0" --rounds 5 --seconds 5

The commands start the servers, which must print their address. All queries are asked once before anything is measured.
Processor time is that of the server's processes a request, and that of the client.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lsr.eval.bench.serving.http_load import texts_of

SCRIPT = """
local paths, at = {}, 0
for line in io.lines("%s") do paths[#paths + 1] = line end
function request()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at])
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\n{"requests": %%d, "us": %%d, "p50": %%d, "p99": %%d, "failed": %%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""
"""What wrk does: ask for the paths of a file in turns, and print counts and microseconds as JSON."""
MEDIANS = ("rate", "p50", "p99", "server_ms", "client_ms")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Round:
    """A measurement. server_ms, client_ms: processor time of a request in milliseconds. p50, p99: in milliseconds."""

    rate: float
    p50: float
    p99: float
    failed: int
    server_ms: float
    client_ms: float


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    url: str
    pid: int

    def cpu_s(self) -> float:
        """Return the processor time of the server and its child processes, in seconds."""
        return sum(ticks for pid, ticks in _ticks() if pid == self.pid or _parent(pid) == self.pid) / TICKS


def _ticks() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (parts := _stat(int(folder.name))):
            yield int(folder.name), int(parts[11]) + int(parts[12])


def _parent(pid: int) -> int:
    parts = _stat(pid)
    return int(parts[1]) if parts else 0


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2].split()
    except OSError:  # it has ended
        return []


@contextmanager
def running(name: str, command: str) -> Iterator[Server]:
    """Run a server until the end of a block."""
    with subprocess.Popen(shlex.split(command), stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url.startswith("http"):
                sys.exit(f"{name} printed no address: {command}")
            yield Server(name, url.rstrip("/"), process.pid)
        finally:
            process.send_signal(signal.SIGINT)


def measure(server: Server, script: Path, *, connections: int, seconds: float) -> Round:
    """Return what wrk measures of a server."""
    before, own = server.cpu_s(), os.times()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(script), server.url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    now = os.times()
    found = json.loads("{" + printed.rpartition("{")[2])
    n = max(1, found["requests"])
    client = now.children_user + now.children_system - own.children_user - own.children_system
    return Round(
        rate=found["requests"] / found["us"] * 1e6,
        p50=found["p50"] / 1000,
        p99=found["p99"] / 1000,
        failed=found["failed"],
        server_ms=(server.cpu_s() - before) / n * 1000,
        client_ms=client / n * 1000,
    )


def line_of(name: str, rounds: Sequence[Round]) -> str:
    """Return the medians of a server's rounds in a line, with the least and the largest rate."""

    middle = {name: statistics.median(getattr(one, name) for one in rounds) for name in MEDIANS}
    rates = [one.rate for one in rounds]
    return (
        f"{name:10} {middle['rate']:7.0f} requests/s ({min(rates):.0f} to {max(rates):.0f}), p50 {middle['p50']:.2f} "
        f"ms, p99 {middle['p99']:.2f} ms, processor {middle['server_ms']:.2f} ms a request, client "
        f"{middle['client_ms']:.2f} ms, failed {sum(one.failed for one in rounds)}"
    )


def main() -> None:
    """Run the servers, measure them in turns, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queries", type=Path, help="BEIR queries.jsonl")
    parser.add_argument("--server", action="append", required=True, metavar="NAME=COMMAND")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a round (default: 5)")
    parser.add_argument("--warm", type=float, default=5.0, help="seconds of each server's first, uncounted round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--extra", default="&k=10", help="further parameters (default: &k=10)")
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("this needs wrk: apt-get install wrk")
    texts = texts_of(args.queries)
    named = [text.partition("=")[::2] for text in args.server]
    with tempfile.TemporaryDirectory() as folder:
        paths, script = Path(folder) / "paths.txt", Path(folder) / "requests.lua"
        paths.write_text("".join(f"/search?q={quote(text)}{args.extra}\n" for text in texts), "utf-8")
        script.write_text(SCRIPT % paths, "utf-8")
        _run(named, script, args)


def _run(named: Sequence[tuple[str, str]], script: Path, args: argparse.Namespace) -> None:
    rounds: dict[str, list[Round]] = {name: [] for name, _ in named}
    with ExitStack() as stack:
        servers = [stack.enter_context(running(name, command)) for name, command in named]
        for server in servers:
            measure(server, script, connections=args.connections, seconds=args.warm)
        for _ in range(args.rounds):
            for server in servers:
                rounds[server.name].append(measure(server, script, connections=args.connections, seconds=args.seconds))
    for name, found in rounds.items():
        sys.stdout.write(line_of(name, found) + "\n")


if __name__ == "__main__":
    main()
