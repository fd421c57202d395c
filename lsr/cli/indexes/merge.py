"""`lsr merge`: merge the segments of an index, without deleted documents."""

from __future__ import annotations

import argparse
import time
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, add_index_argument, index_path, note_compiling, positive
from lsr.output.numbers import counted, human_bytes
from lsr.output.terminal import say


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "merge",
        "merge the segments of an index",
        "Merge the segments of an index into one (or few, if very large), and drop\n"
        "deleted documents. Results don't change, and running searches are not affected.\n"
        "Commands that add documents merge small segments automatically.",
    )
    add_index_argument(parser)
    parser.add_argument(
        "--due", action="store_true", help="merge only small segments, as commands that add documents do"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="number of threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Merge the segments and report the counts."""
    from lsr.api.edit import merge_segments
    from lsr.io.cores import available_cores

    path = index_path(args, to_write=True)
    note_compiling("split_range")
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        merged = merge_segments(path, only_due=args.due, threads=args.threads or available_cores(), progress=progress)
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    if args.json:
        from lsr.io.printable import json_line

        done = {
            "index": str(path),
            "merged": merged.n_merged,
            "segments": merged.n_segments,
            "documents": merged.n_documents,
            "size_bytes": merged.size_bytes,
            "seconds": round(seconds, 3),
            "generation": merged.generation,
        }
        say(json_line(done))
    elif merged.n_merged:
        count, left = counted(merged.n_merged, "segment"), counted(merged.n_segments, "segment")
        say(f"merged {count} in {seconds:.1f} s: {left} left, {human_bytes(merged.size_bytes)}")
    else:
        say(f"nothing to merge: {counted(merged.n_segments, 'segment')}, nothing {'due' if args.due else 'deleted'}")
    return 0
