"""`lsr update`: bring folders and files up to date, replace documents, or give documents other fields."""

from __future__ import annotations

import argparse
import json
from typing import Any

from lsr.cli.changes.change_options import add_common_arguments, add_from_sources, add_source_arguments
from lsr.cli.common import add_command, index_path, note
from lsr.output.numbers import counted
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr update notes/          read what is new or changed, remove what is gone
  lsr update notes/plan.md   replace one file
  lsr update changed.jsonl   add new documents, replace those with the same ids
  lsr update --set status=done --where "year < 2020"   fields alone
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "update",
        "bring folders and files up to date, or change fields",
        "Add documents to an index, each in the place of the one with its doc_id if there\n"
        "is one. What was replaced counts as added now, in the order of equal scores. Of\n"
        "a folder that the index was made of, or a part of one, unchanged files are not\n"
        "read again, and documents of vanished files are removed; 'lsr sync' does that\n"
        "for all of them. A path outside these folders becomes a new source of the index.\n"
        "With --set, fields of documents change, and nothing is encoded again.",
        EXAMPLES,
    )
    add_source_arguments(parser)
    fields = parser.add_argument_group("fields alone")
    fields.add_argument(
        "--set", action="append", dest="values", metavar="FIELD=VALUE", default=[],
        help="give the documents this value: a number, true, false, a list in JSON, or a text; null removes the field",
    )  # fmt: skip
    fields.add_argument("--where", metavar="F", help="filter that chooses the documents, as in 'lsr search --where'")
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Add and replace documents, or change fields, and report the counts."""
    from lsr.errors import UsageError

    if not args.values and args.where is None:
        return add_from_sources(args, replacing=True)
    if args.corpus or args.vectors:
        raise UsageError("--set changes fields of documents that are there: leave out CORPUS and --vectors")
    if not args.values or args.where is None:
        raise UsageError("--set FIELD=VALUE and --where FILTER go together: what to change, and in which documents")
    return _update_fields(args)


def _update_fields(args: argparse.Namespace) -> int:
    from lsr.api.edit import choice_of, field_values
    from lsr.indexer.update.update_fields import update_fields

    path = index_path(args, to_write=True)
    values = field_values(dict(map(_parsed, args.values)))
    manifest, n_updated = update_fields(path, values, choice_of(args.where, None))
    if args.json:
        from lsr.io.printable import json_line

        say(json_line({"index": str(path), "updated": n_updated, "generation": manifest.generation}))
    elif n_updated:
        say(f"updated fields of {counted(n_updated, 'document')}: {path}")
    else:
        say("changed nothing")
        note(f"no document fits {args.where!r}")
    return 0


def _parsed(assignment: str) -> tuple[str, Any]:
    """Return the field and the value of FIELD=VALUE."""
    from lsr.errors import UsageError

    name, separator, text = assignment.partition("=")
    if not separator or not name:
        raise UsageError(f"--set has {assignment!r:.60}; it must be FIELD=VALUE, as status=done")
    try:
        value = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return name, text
    return name, text if isinstance(value, dict) else value
