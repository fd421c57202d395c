"""`lsr serve`: a page to search with, and a REST API."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from lsr.cli.common import add_command, add_index_argument, note, note_compiling
from lsr.cli.searches.open_searcher import add_dense_argument, open_searcher
from lsr.cli.searches.option_arguments import add_search_options, options_from
from lsr.output.numbers import counted

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
    from lsr.errors import MissingExtraError
    from lsr.query.stages import method_of
    from lsr.server.served_index import ServedIndex, ServedIndexes
    from lsr.server.settings import ServerSettings

    try:
        from lsr.server.app import make_app
        from lsr.server.run import listen, serve, url_of
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from error

    searcher = open_searcher(args, options_from(args))
    note_compiling("search_segments")
    searcher.warm_up()
    method_of(searcher.options).encode(searcher, ["ready"])
    settings = ServerSettings(host=args.host, port=args.port)
    indexes = ServedIndexes([ServedIndex(name_of(searcher.index.path), searcher)])
    app = make_app(indexes, settings)
    listening = listen(settings)
    url = url_of(listening)
    if not settings.is_local:
        note(f"anyone who reaches {url} can read the whole index: there are no passwords here")
    print(url, flush=True)
    note(f"serving {counted(len(searcher.index), 'document')}; Ctrl-C stops it")
    serve(app, settings, listening)
    note("stopped")
    return 0


def name_of(path: Path) -> str:
    """Return the name of an index that was given none: that of its folder, or of the one around `.lsr`."""
    from lsr.indexer.storage.index import DEFAULT_NAME
    from lsr.server.served_index import LONGEST_NAME, RESERVED

    folder = path.resolve()
    if folder.name == DEFAULT_NAME:
        folder = folder.parent
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).lstrip("._-")[:LONGEST_NAME]
    return name if name and name not in RESERVED else "index"
