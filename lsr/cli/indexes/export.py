"""`lsr export`: an index as one file, or its vectors as Parquet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, add_index_argument, index_path, note, positive
from lsr.errors import UsageError
from lsr.output.numbers import counted, human_bytes
from lsr.output.terminal import say

ENGINES = (
    "elasticsearch", "opensearch", "opensearch-ann", "qdrant", "milvus", "pgvector", "vespa", "anserini", "pisa",
    "seismic", "duckdb",
)  # fmt: skip
EXAMPLES = """\
examples:
  lsr export notes.lsr.tar            the index, to move or keep
  lsr export --vectors notes.parquet  documents with their sparse vectors
  lsr export --to opensearch notes/   the same for OpenSearch, with its mapping

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
        "columns id, terms, weights, title, text, fields. With --to, write a folder that\n"
        "another engine loads (docs/HANDOFF.md).",
        EXAMPLES,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="file, or with --to folder, to write")
    add_index_argument(parser)
    parser.add_argument("--vectors", action="store_true", help="write documents and vectors as Parquet instead")
    parser.add_argument("--to", choices=ENGINES, metavar="ENGINE", help=f"write for one of {', '.join(ENGINES)}")
    parser.add_argument(
        "--part-docs", type=positive, metavar="N", help="documents in a part of what --to writes (default: 100000)"
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace the file if there is one")
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(run=run)


def _hand_off(args: argparse.Namespace, path: Path) -> int:
    """Write for another engine and report the counts."""
    from lsr.handoff.export import PART_DOCS, export_to
    from lsr.indexer.storage.index import StoredIndex
    from lsr.indexer.transfer.export_vectors import left_out

    if args.vectors:
        raise UsageError("--to and --vectors are two forms of an export: give one")
    progress = TerminalProgress()
    try:
        done = export_to(
            args.to, path, args.file, part_docs=args.part_docs or PART_DOCS, overwrite=args.overwrite,
            progress=progress,
        )  # fmt: skip
    finally:
        progress.close()
    with StoredIndex.open(path) as index:
        for sentence in left_out(index):
            note(sentence)
    for reason, count in done.left_out.items():
        note(f"left out {count:,} {reason}, which {args.to} can't hold")
    if args.json:
        from lsr.io.printable import json_line

        found = {"index": str(path), "folder": str(args.file), "engine": args.to, "documents": done.n_docs}
        say(json_line(found | {"left_out": done.left_out, "size_bytes": done.size_bytes}))
    else:
        size = human_bytes(done.size_bytes)
        say(f"exported {counted(done.n_docs, 'document')} for {args.to} to {args.file}, {size}; see its README.txt")
    return 0


def run(args: argparse.Namespace) -> int:
    """Export the index and report the size."""
    path = index_path(args)
    if args.to is not None:
        return _hand_off(args, path)
    if args.part_docs is not None:
        raise UsageError("--part-docs divides what --to writes: name an engine by --to")
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
