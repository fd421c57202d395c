"""`lsr update`: add documents, or replace those with the same ids."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import add_command
from lsr.cli.indexes.change_options import add_common_arguments, add_from_sources, add_source_arguments

EXAMPLES = """\
examples:
  lsr update notes/          add new documents, replace known ones
  lsr update changed.jsonl   the same for one file
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "update",
        "add documents, or replace those with the same ids",
        "Add documents to an index, each in the place of the one with its doc_id if there\n"
        "is one. What was replaced counts as added now, in the order of equal scores.",
        EXAMPLES,
    )
    add_source_arguments(parser)
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Add and replace documents, and report the counts."""
    return add_from_sources(args, replacing=True)
