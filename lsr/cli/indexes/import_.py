"""`lsr import`: an index out of the file that `lsr export` wrote."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lsr.cli.common import add_command
from lsr.output.numbers import counted, human_bytes


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "import",
        "make an index of an exported file",
        "Make an index of a file that 'lsr export' wrote. All of it is verified: a file\n"
        "that was cut, damaged or tampered with leaves nothing behind.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what 'lsr export' wrote")
    parser.add_argument("--index", type=Path, default=Path(".lsr"), metavar="DIR", help="where (default: ./.lsr)")
    parser.add_argument("--overwrite", action="store_true", help="replace the index that is there")
    parser.add_argument("--json", action="store_true", help="print what was done as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Import, and say what was done."""
    from lsr.indexer.transfer.archive import import_index

    manifest = import_index(args.file, args.index, overwrite=args.overwrite)
    if args.json:
        from lsr.output.hits import json_line

        done = {
            "index": str(args.index),
            "documents": manifest.n_docs,
            "size_bytes": manifest.size_bytes,
            "generation": manifest.generation,
        }
        print(json_line(done))
    else:
        size = human_bytes(manifest.size_bytes)
        print(f"imported {counted(manifest.n_docs, 'document')} into {args.index}, {size}")
    return 0
