"""`lsr serve`: a page to search with, a REST API, and tools for agents."""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import add_command, note
from lsr.cli.searches.served import add_ray_arguments, add_served_arguments, open_served
from lsr.output.numbers import counted
from lsr.output.terminal import say

if TYPE_CHECKING:
    from lsr.server.access_log import AccessLog
    from lsr.server.served_index import ServedIndexes
    from lsr.server.settings import ServerSettings

EXAMPLES = """\
examples:
  lsr serve                     a page at http://127.0.0.1:8754/
  lsr serve notes=.lsr papers=/data/papers        two indexes, by name
  lsr serve --host 0.0.0.0 --keys keys.txt --allow-host search.example.org
  lsr serve --index SET --ray   the shards of a set by the actors of a cluster
  lsr serve --hybrid            every search is hybrid unless a request says not
  curl 'http://127.0.0.1:8754/search?q=vitamin+d&k=3'
  curl -X PUT http://127.0.0.1:8754/documents/a -H 'Content-Type: application/json' \\
    -d '{"text": "A note.", "fields": {"year": 2026}}'

paths: /  /search  /documents  /delete  /encode  /stats  /health  /ready
  /metrics  /openapi.json  /mcp; all of an index at /NAME/…, too. docs/SERVER.md
  has them
"""
HOST, PORT = "127.0.0.1", 8754


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "serve",
        "serve a search page, a REST API and tools for agents",
        "Serve indexes over HTTP: a page with a search box, a REST API that searches and\n"
        "changes them, and tools for agents (MCP). A newer generation of an index is\n"
        "served as soon as there is one. Ctrl-C or SIGTERM stops it, after the requests\n"
        "in flight.",
        EXAMPLES,
    )
    add_served_arguments(parser)
    add_ray_arguments(parser)
    parser.add_argument("--host", default=HOST, metavar="H", help=f"listen at H (default: {HOST}, this machine alone)")
    parser.add_argument("--port", type=port, default=PORT, metavar="P", help=f"0 for any (default: {PORT})")
    parser.add_argument(
        "--warm", action="store_true", help="read and verify the whole of each index before the first request"
    )
    _add_guards(parser)
    parser.set_defaults(run=run)


def _add_guards(parser: argparse.ArgumentParser) -> None:
    guards = parser.add_argument_group("access")
    guards.add_argument(
        "--keys", type=Path, metavar="FILE", help="require keys: lines of 'read KEY', 'write KEY' or 'admin KEY'"
    )
    guards.add_argument("--no-auth", action="store_true", help="serve other machines without keys")
    guards.add_argument("--read-only", action="store_true", help="refuse all changes")
    guards.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="answer to this name, too, as a proxy passes it on; '*' for any; may be repeated",
    )  # fmt: skip
    guards.add_argument(
        "--root-path", default="", metavar="PATH", help="path of the server behind its proxy, as /search"
    )
    guards.add_argument(
        "--cors", action="append", default=[], metavar="ORIGIN",
        help="let pages of this origin use the server, as https://app.example.org; may be repeated",
    )  # fmt: skip
    guards.add_argument("--log", metavar="FILE", help="access log of JSON lines, appended to FILE; - for stderr")
    guards.add_argument("--log-queries", action="store_true", help="log what is searched for, too")
    guards.add_argument("--deadline", type=seconds, metavar="S", help="end a search after S seconds (default: 30)")
    guards.add_argument("--max-body", type=megabytes, metavar="MB", help="largest body of a request (default: 32)")


def port(text: str) -> int:
    """Parse a port."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{value} is not from 0 to 65535")
    return value


def seconds(text: str) -> float:
    """Parse a number of seconds."""
    value = float(text)
    if not 0.001 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not from 0.001 to 3600")
    return value


def megabytes(text: str) -> int:
    """Parse a number of megabytes, and return the bytes."""
    value = float(text)
    if not 0.001 <= value <= 4096:
        raise argparse.ArgumentTypeError(f"{text} is not from 0.001 to 4096")
    return int(value * 1_000_000)


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from lsr.errors import MissingExtraError

    try:
        from lsr.server.app import make_app
        from lsr.server.run import listen, serve, url_of
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from error

    with ExitStack() as stack:
        settings = _settings(args, stack)
        indexes = open_served(args, whole=args.warm)
        app = make_app(indexes, settings, mcp=_mcp(indexes, settings))
        listening = listen(settings)
        url = url_of(listening)
        _note_access(settings, url)
        say(url, flush=True)
        names = ", ".join(f"{counted(len(one.index), 'document')} of {one.name}" for one in indexes.values())
        note(f"serving {names}; Ctrl-C stops it")
        serve(app, settings, listening)
    note("stopped")
    return 0


def _mcp(indexes: ServedIndexes, settings: ServerSettings) -> Any:
    """Return the endpoint for agents, None where the extra for it isn't installed."""
    try:
        from lsr.mcp.service import HttpService, Service
    except ModuleNotFoundError:
        note("no /mcp for agents: that needs pip install 'lsr-search[mcp]'")
        return None
    return HttpService(Service(indexes, settings.limits, indexes.paths))


def _settings(args: argparse.Namespace, stack: ExitStack) -> ServerSettings:
    from lsr.errors import UsageError
    from lsr.server.keys import Keys
    from lsr.server.settings import Limits, ServerSettings

    if args.keys is not None and args.no_auth:
        raise UsageError("--keys and --no-auth exclude each other: give one of them")
    if args.root_path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", args.root_path):
        raise UsageError(f"--root-path is {args.root_path!r:.60}; it must be a path such as /search")
    given = {"deadline_s": args.deadline, "body": args.max_body}
    settings = ServerSettings(
        host=args.host,
        port=args.port,
        root_path=args.root_path.rstrip("/"),
        keys=None if args.keys is None else Keys.load(args.keys),
        read_only=args.read_only,
        allow_hosts=tuple(args.allow_host),
        cors=tuple(args.cors),
        access_log=_access_log(args, stack),
        limits=Limits(**{name: value for name, value in given.items() if value is not None}),
    )
    if not settings.is_local and settings.keys is None and not args.no_auth:
        raise UsageError(
            f"--host {args.host} lets other machines in: give --keys FILE, or say --no-auth to serve them without keys"
        )
    return settings


def _access_log(args: argparse.Namespace, stack: ExitStack) -> AccessLog | None:
    from lsr.errors import UsageError
    from lsr.server.access_log import AccessLog

    if args.log is None:
        if args.log_queries:
            raise UsageError("--log-queries goes with --log FILE")
        return None
    file = sys.stderr if args.log == "-" else stack.enter_context(Path(args.log).open("a", encoding="utf-8"))
    return AccessLog(file, with_queries=args.log_queries)


def _note_access(settings: ServerSettings, url: str) -> None:
    who = "anyone on this machine" if settings.is_local else f"anyone who reaches {url}"
    if settings.keys is not None:
        note(f"requests need one of {counted(len(settings.keys), 'key')}")
    elif settings.read_only:
        note(f"{who} can read the whole index: no keys are asked for")
    else:
        note(f"{who} can read and change the index: no keys are asked for; --read-only or --keys FILE prevents that")
