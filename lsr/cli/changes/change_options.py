"""Options and output shared by add, update, delete and merge."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import TerminalProgress, add_index_argument, corpus_place, note, note_compiling, positive
from lsr.cli.indexes.reading_options import add_reading_arguments, given_reading_options
from lsr.cli.indexes.without_effect import note_without_effect
from lsr.errors import COMMITTED
from lsr.output.numbers import counted
from lsr.output.terminal import say

if TYPE_CHECKING:
    from lsr.indexer.storage.manifest import Manifest


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the sources of documents."""
    parser.add_argument(
        "corpus", nargs="*", type=corpus_place, metavar="CORPUS", help="folders and files to read, here or by URL"
    )
    add_index_argument(parser)
    parser.add_argument(
        "--encoder", metavar="E", help="new place of the index's model, if it has moved (default: where the index says)"
    )
    parser.add_argument(
        "--vectors", type=Path, nargs="+", action="extend", default=[], metavar="FILE.parquet",
        help="vectors instead of text: columns id, terms or term_ids, weights",
    )  # fmt: skip
    parser.add_argument("--skip-bad", action="store_true", help="skip and count what can't be read")
    add_reading_arguments(parser)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of every change."""
    parser.add_argument("--no-merge", action="store_true", help="don't merge small segments afterwards")
    parser.add_argument("--threads", type=positive, metavar="N", help="number of threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")


def add_from_sources(args: argparse.Namespace, *, replacing: bool, expansions: Any = None) -> int:
    """Add or replace the documents that the arguments name, and report the counts.

    expansions: an `Expansions` of documents that are added.
    """
    from lsr.encoders.registry import load_encoder
    from lsr.errors import UsageError
    from lsr.indexer.update.update import add_corpus, add_vectors

    if bool(args.corpus) == bool(args.vectors):
        raise UsageError("name what to add: either CORPUS folders and files, or --vectors FILE.parquet")
    if args.vectors and args.encoder is not None:
        raise UsageError("--encoder goes with CORPUS: ready vectors are of the index's encoder")
    if args.vectors and expansions is not None:
        raise UsageError("--expansions goes with CORPUS: ready vectors are encoded already")

    note_without_effect(args)

    def change(path: Path, options: dict[str, Any]) -> Any:
        if args.vectors:
            return add_vectors(args.vectors, path, replacing=replacing, **options)
        encoder = None if args.encoder is None else load_encoder(args.encoder)
        reading = given_reading_options(args)
        return add_corpus(
            args.corpus, path, replacing=replacing, encoder=encoder, skip_bad=args.skip_bad, reading=reading,
            expansions=expansions, **options,
        )  # fmt: skip

    return run_change(args, change)


def run_change(
    args: argparse.Namespace, change: Callable[[Path, dict[str, Any]], Any], *, more: Mapping[str, Any] | None = None
) -> int:
    """Run a change on the index and print its counts; then merge small segments, which may fail with a warning.

    more: further entries of the JSON object, which the change may fill in.
    """
    from lsr.cli.common import index_path
    from lsr.io.cores import available_cores

    path = index_path(args, to_write=True)
    note_compiling("split_range")
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        threads = args.threads or available_cores()
        changes, summary = change(path, {"merge": False, "threads": threads, "progress": progress})
        progress.close()
        seconds = time.perf_counter() - began
        for line in summary:
            note(line)
        _print(args, path, changes, seconds, more or {})
        if not args.no_merge:
            sys.stdout.flush()  # so that what is committed is said before anything can fail
            _merge(path, threads, progress)
    finally:
        progress.close()
    return 0


def _merge(path: Path, threads: int, progress: TerminalProgress) -> None:
    from lsr.indexer.update.update import merge_due

    try:
        merge_due(path, threads=threads, progress=progress)
    except BaseException as error:
        error.add_note(COMMITTED)
        raise


def _count(path: Path, manifest: Manifest) -> int:
    """Return the number of documents after a change, each counted once where it was cut into passages."""
    if manifest.passages is None:
        return manifest.n_docs
    from lsr.api.documents import count_documents
    from lsr.indexer.storage.index import StoredIndex

    with StoredIndex.open(path) as index:
        return count_documents(index)


def _print(args: argparse.Namespace, path: Path, changes: Any, seconds: float, more: Mapping[str, Any]) -> None:
    n_documents = _count(path, changes.manifest)
    if args.json:
        from lsr.io.printable import json_line

        done = {
            "index": str(path),
            "added": changes.n_added,
            "replaced": changes.n_replaced,
            "deleted": changes.n_deleted,
            "unknown": list(changes.unknown),
            "documents": n_documents,
            "clipped": changes.manifest.n_clipped,
            "seconds": round(seconds, 3),
            "generation": changes.manifest.generation,
            **more,
        }
        say(json_line(done))
        return
    numbers = {"added": changes.n_added, "replaced": changes.n_replaced, "deleted": changes.n_deleted}
    did = [f"{verb} {counted(n, 'document')}" for verb, n in numbers.items() if n] or ["changed nothing"]
    say(f"{', '.join(did)} in {seconds:.1f} s: {path} holds {counted(n_documents, 'document')}")
