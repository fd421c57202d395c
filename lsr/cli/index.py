"""`lsr index`: folders and files of text, or ready vectors, into an index."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, counted, human_bytes, note, note_compiling, positive

DEFAULT_ENCODER = "bm25"

EXAMPLES = """\
examples:
  lsr index notes/                           a folder of texts, into ./.lsr
  lsr index corpus.jsonl --index my-index    one file, into the folder my-index
  lsr index notes/ --encoder path/to/model   with a SPLADE model, not BM25
  lsr index --vectors documents.parquet      ready vectors instead of text
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "index",
        "make an index of text",
        "Read folders and files (.txt .md .html .jsonl .json .csv .tsv .parquet, .gz of\n"
        "these, BEIR folders), encode their documents and make an index of them. Hidden\n"
        "files and what git ignores are passed over; what was skipped, and why, is\n"
        "summed up at the end.",
        EXAMPLES,
    )
    parser.add_argument("corpus", nargs="*", type=Path, metavar="CORPUS", help="folders and files to read")
    parser.add_argument("--index", type=Path, default=Path(".lsr"), metavar="DIR", help="where (default: ./.lsr)")
    parser.add_argument(
        "--encoder",
        metavar="E",
        help=f"bm25, the folder of a model, or its name on the Hugging Face hub (default: {DEFAULT_ENCODER})",
    )
    parser.add_argument(
        "--vectors", type=Path, nargs="+", action="extend", default=[], metavar="FILE.parquet",
        help="ready vectors instead of text: columns id, terms or term_ids, weights",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace the index that is there")
    parser.add_argument("--skip-bad", action="store_true", help="pass over, and count, what can't be read")
    parser.add_argument(
        "--no-reorder",
        action="store_true",
        help="don't bring alike documents together: indexes faster, searches slower, with the same results",
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="threads (default: one a core)")
    parser.add_argument("--json", action="store_true", help="print what was done as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Index, and say what was done."""
    from lsr.errors import UsageError
    from lsr.query.searcher import available_cores

    if bool(args.corpus) == bool(args.vectors):
        raise UsageError("name what to index: either CORPUS folders and files, or --vectors FILE.parquet")
    options = {
        "overwrite": args.overwrite,
        "reorder": not args.no_reorder,
        "threads": args.threads or available_cores(),
    }
    note_compiling("split_range")
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        manifest, summary = _index_vectors(args, progress, options) if args.vectors else _index(args, progress, options)
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    for line in summary:
        note(line)
    if args.json:
        from lsr.cli.hits import json_line

        done = {
            "index": str(args.index),
            "documents": manifest.n_docs,
            "postings": manifest.n_postings,
            "size_bytes": manifest.size_bytes,
            "seconds": round(seconds, 3),
            "generation": manifest.generation,
        }
        print(json_line(done))
    else:
        rate = f"{manifest.n_docs / seconds:,.0f} a second"
        size = human_bytes(manifest.size_bytes)
        print(f"indexed {counted(manifest.n_docs, 'document')} in {seconds:.1f} s ({rate}) into {args.index}, {size}")
    return 0


def _index(args: argparse.Namespace, progress: TerminalProgress, options: dict[str, Any]) -> tuple[Any, list[str]]:
    from lsr.encoders.registry import load_encoder
    from lsr.indexer.pipeline import index_corpus

    if args.encoder is None:
        note(f"encoding with {DEFAULT_ENCODER}: words, no learned model; --encoder names another")
    encoder = load_encoder(args.encoder or DEFAULT_ENCODER)
    return index_corpus(args.corpus, args.index, encoder, skip_bad=args.skip_bad, progress=progress, **options)


def _index_vectors(
    args: argparse.Namespace, progress: TerminalProgress, options: dict[str, Any]
) -> tuple[Any, list[str]]:
    from lsr.encoders.registry import load_encoder
    from lsr.indexer.pipeline import index_vectors

    encoder = None if args.encoder is None else load_encoder(args.encoder)
    return index_vectors(args.vectors, args.index, encoder=encoder, progress=progress, **options)
