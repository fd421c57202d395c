"""`lsr mcp`: tools for agents at stdin and stdout."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import add_command, note
from lsr.cli.searches.served import add_served_arguments, open_served
from lsr.output.numbers import counted

EXAMPLES = """\
examples:
  claude mcp add notes -- lsr mcp --index /home/me/notes/.lsr
  lsr mcp notes=/home/me/notes/.lsr papers=/data/papers --about 'notes=my notes'

tools: search, get_document, get_documents, list_fields, status. docs/MCP.md has
  the lines that add them to common agents
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "mcp",
        "give agents tools to search an index",
        "Speak the Model Context Protocol (MCP) at stdin and stdout: an agent that starts\n"
        "this command can search the indexes and read their documents, and change\n"
        "nothing. 'lsr serve' offers the same over HTTP, at /mcp.",
        EXAMPLES,
    )
    add_served_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve the client that started the command, until it leaves."""
    from lsr.errors import MissingExtraError

    try:
        import anyio

        from lsr.mcp.service import Service
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "mcp", "mcp") from error
    from lsr.server.settings import Limits

    indexes = open_served(args)
    names = (f"{counted(len(one.index), 'document')} of {one.name}" for one in indexes.values())
    note(f"tools for {', '.join(names)}")
    anyio.run(Service(indexes, Limits(), indexes.paths).serve_stdio)
    return 0
