"""What the commands that change an index share."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsr.cli.common import TerminalProgress, add_index_argument, note, note_compiling, positive
from lsr.output.numbers import counted


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what documents are read from, and how."""
    parser.add_argument("corpus", nargs="*", type=Path, metavar="CORPUS", help="folders and files to read")
    add_index_argument(parser)
    parser.add_argument(
        "--encoder", metavar="E", help="the index's encoder, where its model has moved (default: the one it names)"
    )
    parser.add_argument(
        "--vectors", type=Path, nargs="+", action="extend", default=[], metavar="FILE.parquet",
        help="ready vectors instead of text: columns id, terms or term_ids, weights",
    )  # fmt: skip
    parser.add_argument("--skip-bad", action="store_true", help="pass over, and count, what can't be read")


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every change takes."""
    parser.add_argument("--no-merge", action="store_true", help="don't merge small segments afterwards")
    parser.add_argument("--threads", type=positive, metavar="N", help="threads (default: one a core)")
    parser.add_argument("--json", action="store_true", help="print what was done as a JSON object")


def add_from_sources(args: argparse.Namespace, *, replacing: bool) -> int:
    """Add what the arguments name to an index, and say what was done."""
    from lsr.encoders.registry import load_encoder
    from lsr.errors import UsageError
    from lsr.indexer.update.update import add_corpus, add_vectors

    if bool(args.corpus) == bool(args.vectors):
        raise UsageError("name what to add: either CORPUS folders and files, or --vectors FILE.parquet")
    if args.vectors and args.encoder is not None:
        raise UsageError("--encoder goes with CORPUS: ready vectors are of the index's encoder")

    def change(path: Path, options: dict[str, Any]) -> Any:
        if args.vectors:
            return add_vectors(args.vectors, path, replacing=replacing, **options)
        encoder = None if args.encoder is None else load_encoder(args.encoder)
        return add_corpus(args.corpus, path, replacing=replacing, encoder=encoder, skip_bad=args.skip_bad, **options)

    return run_change(args, change)


def run_change(args: argparse.Namespace, change: Callable[[Path, dict[str, Any]], Any]) -> int:
    """Let `change` work on the index, then print what was done."""
    from lsr.cli.common import index_path
    from lsr.query.engine.batches import available_cores

    path = index_path(args)
    note_compiling("split_range")
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        options = {"merge": not args.no_merge, "threads": args.threads or available_cores(), "progress": progress}
        changes, summary = change(path, options)
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    for line in summary:
        note(line)
    _print(args, path, changes, seconds)
    return 0


def _print(args: argparse.Namespace, path: Path, changes: Any, seconds: float) -> None:
    if args.json:
        from lsr.output.hits import json_line

        done = {
            "index": str(path),
            "added": changes.n_added,
            "replaced": changes.n_replaced,
            "deleted": changes.n_deleted,
            "unknown": list(changes.unknown),
            "documents": changes.manifest.n_docs,
            "clipped": changes.manifest.n_clipped,
            "seconds": round(seconds, 3),
            "generation": changes.manifest.generation,
        }
        print(json_line(done))
        return
    numbers = {"added": changes.n_added, "replaced": changes.n_replaced, "deleted": changes.n_deleted}
    did = [f"{verb} {counted(n, 'document')}" for verb, n in numbers.items() if n] or ["changed nothing"]
    print(f"{', '.join(did)} in {seconds:.1f} s: {path} holds {counted(changes.manifest.n_docs, 'document')}")
