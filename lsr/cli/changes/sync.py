"""`lsr sync`: bring an index up to date with the folders and files that it was made of."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.changes.change_options import add_common_arguments, run_change
from lsr.cli.common import TerminalProgress, add_command, add_index_argument, index_path
from lsr.output.numbers import counted
from lsr.output.terminal import say

if TYPE_CHECKING:
    from lsr.indexer.update.sync import Sync

EXAMPLES = """\
examples:
  lsr sync             read what is new or changed, remove what is gone
  lsr sync --dry-run   show the files, and change nothing
  lsr sync my-index    another index
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "sync",
        "bring an index up to date with its folders and files",
        "Compare the folders and files that an index was made of with what was indexed:\n"
        "new files are added, documents of changed files replaced, those of vanished\n"
        "files removed, in one transaction. Files of the same size and time are not\n"
        "read, files of the same content not encoded again. Each folder is read with the\n"
        "options that it was indexed with.",
        EXAMPLES,
    )
    parser.add_argument("place", nargs="?", type=Path, metavar="INDEX", help="the index, as by --index")
    add_index_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and change nothing")
    parser.add_argument(
        "--remove-missing",
        action="store_true",
        help="give up folders and files that are not there any more, and delete their documents",
    )
    add_common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Follow the sources and report the counts; or show what would be done."""
    from lsr.errors import UsageError
    from lsr.indexer.update.sync import plan_sync, sync_index

    if args.place is not None and args.index is not None:
        raise UsageError("the index is named twice: by INDEX and by --index")
    args.index = args.index or args.place
    if args.dry_run:
        progress = TerminalProgress()
        try:
            found = plan_sync(index_path(args), remove_missing=args.remove_missing, progress=progress)
        finally:
            progress.close()
        _show(args, found)
        return 0
    more: dict[str, Any] = {}

    def change(path: Path, options: dict[str, Any]) -> Any:
        found = sync_index(path, remove_missing=args.remove_missing, **options)
        more.update(files_object(found))
        return found.changes, [*found.summary, *sync_lines(found)]

    return run_change(args, change, more=more)


def files_object(found: Sync) -> dict[str, Any]:
    """Return what became of the files as JSON values."""
    return {
        "new_files": list(found.new),
        "changed_files": list(found.changed),
        "vanished_files": list(found.vanished),
        "unchanged_files": found.n_unchanged,
        "missing_sources": list(found.missing),
    }


def sync_lines(found: Sync) -> list[str]:
    """Return lines that sum up what became of the files."""
    numbers = {"new": len(found.new), "changed": len(found.changed), "vanished": len(found.vanished)}
    parts = [f"{n:,} {what}" for what, n in numbers.items() if n]
    lines = [", ".join([counted(found.n_unchanged, "file") + " unchanged", *parts])]
    if found.missing:
        shown = ", ".join(found.missing)
        lines.append(f"not there, so that its documents stay: {shown}; --remove-missing deletes them")
    return lines


def _show(args: argparse.Namespace, found: Sync) -> None:
    from lsr.cli.common import note

    if args.json:
        from lsr.io.printable import json_line

        say(json_line({"index": str(index_path(args)), "dry_run": True} | files_object(found)))
        return
    for mark, files in (("+", found.new), ("~", found.changed), ("-", found.vanished)):
        _list(mark, files)
    for line in sync_lines(found):
        note(line)


def _list(mark: str, files: Sequence[str]) -> None:
    for file in files:
        say(f"{mark} {file}")
