"""`lsr check`: read and verify a whole index."""

from __future__ import annotations

import argparse
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, add_index_argument, index_path, note
from lsr.errors import IndexDamagedError
from lsr.output.numbers import counted, human_bytes


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
    from lsr.indexer.transfer.check import verify
    from lsr.output.hits import json_line

    path = index_path(args)
    progress = TerminalProgress()
    try:
        manifest, problems = verify(path, progress)
    finally:
        progress.close()
    for problem in problems:
        note(problem)
    if args.json:
        print(json_line({"index": str(path), "sound": not problems, "problems": problems}))
    if problems:
        note(f"{path} is damaged; restore it from a copy, or index again with --overwrite")
        return IndexDamagedError.exit_code
    if not args.json:
        size = human_bytes(manifest.size_bytes)
        print(f"sound: {counted(manifest.n_docs, 'document')}, {counted(manifest.n_postings, 'posting')}, {size}")
    return 0
