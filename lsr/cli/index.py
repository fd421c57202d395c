"""`lsr index`: folders and files of text, or ready vectors, into an index."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from lsr.cli.common import TerminalProgress, human_bytes, note, positive

DEFAULT_ENCODER = "bm25"


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "index",
        help="make an index of text",
        description="Read folders and files (.txt .md .html .jsonl .json .csv .tsv .parquet, .gz of these, BEIR "
        "folders), encode their documents and make an index of them.",
    )
    parser.add_argument("corpus", nargs="*", type=Path, metavar="CORPUS", help="folders and files to read")
    parser.add_argument("--index", type=Path, default=Path(".lsr"), metavar="DIR", help="where (default: ./.lsr)")
    parser.add_argument(
        "--encoder", metavar="E", help=f"bm25, a model's folder or its hub name (default: {DEFAULT_ENCODER})"
    )
    parser.add_argument(
        "--vectors", type=Path, action="append", default=[], metavar="FILE.parquet",
        help="ready vectors instead of text: columns id, terms or term_ids, weights; may be given again",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace the index that is there")
    parser.add_argument("--skip-bad", action="store_true", help="go on after a record that can't be read")
    parser.add_argument(
        "--no-reorder",
        action="store_true",
        help="keep documents in the order of the input: builds faster, searches slower",
    )
    parser.add_argument("--threads", type=positive, default=2, metavar="N", help="for building (default: 2)")
    parser.add_argument("--json", action="store_true", help="print what was done as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Index, and say what was done."""
    from lsr.errors import UsageError
    from lsr.indexer.pipeline import index_corpus, index_vectors

    if bool(args.corpus) == bool(args.vectors):
        raise UsageError("name what to index: either CORPUS folders and files, or --vectors FILE.parquet")
    options = {"overwrite": args.overwrite, "reorder": not args.no_reorder, "threads": args.threads}
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        if args.vectors:
            encoder = _load(args.encoder) if args.encoder else None
            manifest, summary = index_vectors(args.vectors, args.index, encoder=encoder, progress=progress, **options)
        else:
            if args.encoder is None:
                note(f"encoding with {DEFAULT_ENCODER} (words, no learned model); --encoder names another")
            encoder = _load(args.encoder or DEFAULT_ENCODER)
            manifest, summary = index_corpus(
                args.corpus, args.index, encoder, skip_bad=args.skip_bad, progress=progress, **options
            )
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    for line in summary:
        note(line)
    if args.json:
        print(
            json.dumps(
                {
                    "index": str(args.index), "documents": manifest.n_docs, "postings": manifest.n_postings,
                    "size_bytes": manifest.size_bytes, "seconds": round(seconds, 3), "generation": manifest.generation,
                }
            )
        )  # fmt: skip
    else:
        print(
            f"indexed {manifest.n_docs:,} documents in {seconds:.1f} s ({manifest.n_docs / seconds:,.0f} a second): "
            f"{args.index}, {human_bytes(manifest.size_bytes)}"
        )
    return 0


def _load(name: str) -> Any:
    from lsr.encoders.registry import load_encoder

    return load_encoder(name)
