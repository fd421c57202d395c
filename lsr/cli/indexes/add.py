"""`lsr add`: more documents into an index."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import add_command
from lsr.cli.indexes.change_options import add_common_arguments, add_from_sources, add_source_arguments

EXAMPLES = """\
examples:
  lsr add new-notes/                   more texts into ./.lsr
  lsr add more.jsonl --index my-index  into another index
  lsr add --vectors more.parquet       ready vectors
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "add",
        "add documents to an index",
        "Add documents to an index: all of them are seen by searches that begin\n"
        "afterwards, or, where something goes wrong, none. Scores are those of an index\n"
        "made anew. A doc_id that is there already is an error; 'lsr update' replaces.",
        EXAMPLES,
    )
    add_source_arguments(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Add, and say what was done."""
    return add_from_sources(args, replacing=False)
