"""`lsr add`: add documents to an index."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.changes.change_options import add_common_arguments, add_from_sources, add_source_arguments
from lsr.cli.common import add_command
from lsr.cli.indexes.expansion_options import add_expansion_arguments, expansions_of

EXAMPLES = """\
examples:
  lsr add new-notes/                   add the texts of a folder to ./.lsr
  lsr add more.jsonl --index my-index  add to another index
  lsr add --vectors more.parquet       ready vectors
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "add",
        "add documents to an index",
        "Add documents to an index, in one transaction: all of them, or none if something\n"
        "goes wrong. Scores are the same as if all documents had been indexed together.\n"
        "A doc_id that the index has already is an error; 'lsr update' replaces it.",
        EXAMPLES,
    )
    add_source_arguments(parser)
    add_expansion_arguments(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Add the documents and report the counts."""
    return add_from_sources(args, replacing=False, expansions=expansions_of(args))
