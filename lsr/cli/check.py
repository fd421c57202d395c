"""`lsr check`: read all of an index, and say what is wrong with it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from lsr.cli.common import TerminalProgress, add_index_argument, human_bytes, index_path
from lsr.errors import IndexDamagedError


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("check", help="read all of an index and verify it")
    add_index_argument(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Verify; exit code 3 if anything is wrong."""
    from lsr.indexer.verify import verify

    path = index_path(args)
    progress = TerminalProgress()
    try:
        manifest, problems = verify(path, progress)
    finally:
        progress.close()
    if args.json:
        print(json.dumps({"index": str(path), "sound": not problems, "problems": problems}))
    for problem in problems:
        print(f"lsr: {problem}", file=sys.stderr)
    if problems:
        return IndexDamagedError.exit_code
    if not args.json:
        size = human_bytes(manifest.size_bytes)
        print(f"sound: {manifest.n_docs:,} documents, {manifest.n_postings:,} postings, {size}")
    return 0
