"""`lsr import`: make an index from a file that `lsr export` wrote."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lsr.cli.common import add_command, new_index_path
from lsr.output.numbers import counted, human_bytes
from lsr.output.terminal import say


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "import",
        "make an index from an exported file",
        "Make an index from a file that 'lsr export' wrote. It is verified: a cut or\ndamaged file leaves no index.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="file that 'lsr export' wrote")
    parser.add_argument("--index", type=Path, metavar="DIR", help="folder of the new index (default: ./.lsr)")
    parser.add_argument("--overwrite", action="store_true", help="replace an index that is there")
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Import the index and report its size."""
    from lsr.indexer.transfer.archive import import_index

    args.index = new_index_path(args)
    manifest = import_index(args.file, args.index, overwrite=args.overwrite)
    if args.json:
        from lsr.io.printable import json_line

        done = {
            "index": str(args.index),
            "documents": manifest.n_docs,
            "size_bytes": manifest.size_bytes,
            "generation": manifest.generation,
        }
        say(json_line(done))
    else:
        size = human_bytes(manifest.size_bytes)
        say(f"imported {counted(manifest.n_docs, 'document')} into {args.index}, {size}")
    return 0
