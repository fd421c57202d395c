"""`lsr watch`: an index that follows its folders and files as they change."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, add_index_argument, index_path, note, positive
from lsr.output.numbers import counted
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr watch                    follow the folders of ./.lsr until Ctrl-C
  lsr watch --index my-index   another index
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "watch",
        "follow the folders and files of an index as they change",
        "Bring an index up to date as 'lsr sync' does, and again whenever its folders and\n"
        "files change, until Ctrl-C. What can't be read is reported, and tried again at\n"
        "the next change. Needs watchfiles: pip install 'lsr-search[watch]'.",
        EXAMPLES,
    )
    add_index_argument(parser)
    parser.add_argument("--threads", type=positive, metavar="N", help="number of threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each change")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Follow the sources until the command is interrupted."""
    from lsr.indexer.sources.watch import watched

    path = index_path(args, to_write=True)
    changes = watched(path)
    return follow(args, path, changes)


def follow(args: argparse.Namespace, path: Path, changes: Iterator[None]) -> int:
    """Bring the index up to date at once, and at each of the changes; print what was done."""
    from lsr.errors import BadDocumentError, IndexLockedError
    from lsr.indexer.update.sync import sync_index
    from lsr.io.cores import available_cores

    progress = TerminalProgress()
    note(f"following the sources of {path}; stop with Ctrl-C")
    try:
        while True:
            try:
                found = sync_index(path, threads=args.threads or available_cores(), progress=progress)
            except (BadDocumentError, IndexLockedError) as error:
                note(f"not up to date: {error}")
            else:
                progress.close()
                _print(args, path, found)
            if next(changes, _END) is _END:
                return 0
    finally:
        progress.close()


_END = object()


def _print(args: argparse.Namespace, path: Path, found: Any) -> None:
    from lsr.cli.changes.sync import files_object

    changes = found.changes
    numbers = {"added": changes.n_added, "replaced": changes.n_replaced, "deleted": changes.n_deleted}
    if args.json:
        from lsr.io.printable import json_line

        done = {"index": str(path), **numbers, "generation": changes.manifest.generation}
        say(json_line(done | files_object(found)), flush=True)
    elif any(numbers.values()):
        say(", ".join(f"{verb} {counted(n, 'document')}" for verb, n in numbers.items() if n), flush=True)
