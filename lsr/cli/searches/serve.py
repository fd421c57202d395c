"""`lsr serve`: a page to search with, and a REST API."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import add_command, add_index_argument, note, note_compiling
from lsr.cli.searches.open_searcher import add_dense_argument, open_searcher
from lsr.cli.searches.option_arguments import add_search_options, options_from
from lsr.output.numbers import counted
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr serve                     a page at http://127.0.0.1:8754/
  lsr serve --hybrid            every search is hybrid unless a request says not
  curl 'http://127.0.0.1:8754/search?q=vitamin+d&k=3&explain=1'

paths: /  /doc/ID  /health
  /search?q=…[&k=10][&explain=1][&where=year>=2020][&facets=year][&hybrid=union]
  takes the options of 'lsr search' by their names, as min_score=1
"""
DEFAULTS = ("hybrid", "rerank", "fuser", "weights", "candidates", "neighbours", "feedback", "approximate")
"""Options that searches have where a request doesn't give them."""
HOST, PORT = "127.0.0.1", 8754


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "serve",
        "serve a search page and a REST API",
        "Serve an index over HTTP: a page with a search box that explains its hits, and a\n"
        "REST API. Nothing can be changed through it. A newer generation of the index is\n"
        "served as soon as there is one. Stop it with Ctrl-C.",
        EXAMPLES,
    )
    add_index_argument(parser)
    parser.add_argument("--host", default=HOST, metavar="H", help=f"listen at H (default: {HOST}, this machine alone)")
    parser.add_argument("--port", type=port, default=PORT, metavar="P", help=f"0 for any (default: {PORT})")
    add_dense_argument(parser)
    add_search_options(parser, names=DEFAULTS)
    parser.set_defaults(run=run)


def port(text: str) -> int:
    """Parse a port."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{value} is not from 0 to 65535")
    return value


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from lsr.errors import LsrError
    from lsr.query.stages import method_of
    from lsr.server.server import SearchServer

    searcher = open_searcher(args, options_from(args))
    note_compiling("search_segments")
    searcher.warm_up()
    method_of(searcher.options).encode(searcher, ["ready"])
    try:
        server = SearchServer(searcher, args.host, args.port)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise LsrError(
            f"can't listen at {args.host}, port {args.port}: {why}; give another --port, or 0 for any that is free"
        ) from error
    if not server.is_local:
        note(f"anyone who reaches {server.url} can read the whole index: there are no passwords here")
    say(server.url, flush=True)
    note(f"serving {counted(len(searcher.index), 'document')}; Ctrl-C stops it")
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        note("stopped")
    finally:
        server.server_close()
    return 0
