"""`lsr merge`: merge the segments of an index, without deleted documents."""

from __future__ import annotations

import argparse
import time
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, add_index_argument, index_path, note_compiling, positive
from lsr.output.numbers import counted, human_bytes


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "merge",
        "merge the segments of an index",
        "Merge the segments of an index into one (or few, if they are very large), without\n"
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
    from lsr.indexer.update.merge import merge_index
    from lsr.query.engine.batches import available_cores

    path = index_path(args)
    note_compiling("split_range")
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        manifest, n_merged = merge_index(
            path, only_due=args.due, threads=args.threads or available_cores(), progress=progress
        )
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    n_left = len(manifest.segments)
    if args.json:
        from lsr.output.hits import json_line

        done = {
            "index": str(path),
            "merged": n_merged,
            "segments": n_left,
            "documents": manifest.n_docs,
            "size_bytes": manifest.size_bytes,
            "seconds": round(seconds, 3),
            "generation": manifest.generation,
        }
        print(json_line(done))
    elif n_merged:
        size = human_bytes(manifest.size_bytes)
        print(f"merged {counted(n_merged, 'segment')} in {seconds:.1f} s: {counted(n_left, 'segment')} left, {size}")
    else:
        print(f"nothing to merge: {counted(n_left, 'segment')}, nothing {'due' if args.due else 'deleted'}")
    return 0
