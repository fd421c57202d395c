"""`lsr export`: an index as one file, or its vectors as Parquet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lsr.cli.common import add_command, add_index_argument, index_path, note
from lsr.output.numbers import counted, human_bytes
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr export notes.lsr.tar            the index, to move or keep
  lsr export --vectors notes.parquet  documents with their sparse vectors

'lsr import' makes an index of the first, 'lsr index --vectors' of the second.
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "export",
        "write an index to one file",
        "Write the newest generation of an index to one file (an uncompressed tar). With\n"
        "--vectors, write its documents and their sparse vectors as Parquet instead:\n"
        "columns id, terms, weights, title, text, fields.",
        EXAMPLES,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="file to write")
    add_index_argument(parser)
    parser.add_argument("--vectors", action="store_true", help="write documents and vectors as Parquet instead")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if there is one")
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export the index and report the size."""
    path = index_path(args)
    if args.vectors:
        from lsr.indexer.storage.index import StoredIndex
        from lsr.indexer.transfer.export_vectors import export_vectors, left_out

        n_docs = export_vectors(path, args.file, overwrite=args.overwrite)
        with StoredIndex.open(path) as index:
            for sentence in left_out(index):
                note(sentence)
    else:
        from lsr.indexer.transfer.archive import export_index

        n_docs = export_index(path, args.file, overwrite=args.overwrite).n_docs
    size_bytes = args.file.stat().st_size
    if args.json:
        from lsr.io.printable import json_line

        say(json_line({"index": str(path), "file": str(args.file), "documents": n_docs, "size_bytes": size_bytes}))
    else:
        say(f"exported {counted(n_docs, 'document')} to {args.file}, {human_bytes(size_bytes)}")
    return 0
