"""`lsr check`: read and verify a whole index."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, add_index_argument, index_path, note
from lsr.errors import IndexDamagedError
from lsr.output.numbers import counted, human_bytes
from lsr.output.terminal import say


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "check",
        "verify a whole index",
        "Read a whole index: verify the checksum of every file, and that its arrays agree\n"
        "with each other. Exit code 3 if anything is wrong.",
    )
    add_index_argument(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Verify the index; exit code 3 if anything is wrong."""
    from lsr.api.edit import check_index
    from lsr.io.printable import json_line

    path = index_path(args)
    progress = TerminalProgress()
    try:
        checked = check_index(path, progress)
    finally:
        progress.close()
    for problem in checked.problems:
        note(problem)
    if args.json:
        say(json_line({"index": str(path), "sound": checked.sound, "problems": list(checked.problems)}))
    if not checked.sound:
        note(f"{path} is damaged; restore it from a copy, or index again with --overwrite")
        return IndexDamagedError.exit_code
    if not args.json:
        size = human_bytes(checked.size_bytes)
        n_documents, n_postings = counted(checked.n_documents, "document"), counted(checked.n_postings, "posting")
        say(f"sound: {n_documents}, {n_postings}, {size}")
    return 0
