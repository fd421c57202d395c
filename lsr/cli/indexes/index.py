"""`lsr index`: folders and files of text, or ready vectors, into an index."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, note, note_compiling, positive
from lsr.cli.indexes.passage_options import add_passage_arguments, check_passage_arguments, splitter_of
from lsr.models import DEFAULT, default_encoder
from lsr.output.numbers import counted, human_bytes

WORDS = ("bm25",)
"""Encoders that no device computes."""

EXAMPLES = """\
examples:
  lsr index notes/                           a folder of texts, into ./.lsr
  lsr index corpus.jsonl --index my-index    one file, into the folder my-index
  lsr index notes/ --encoder bm25            words alone, in seconds, no model
  lsr index notes/ --encoder path/to/model   with a SPLADE model of your own
  lsr index notes/ --dense all-MiniLM-L6-v2  with dense vectors besides
  lsr index --dense all-MiniLM-L6-v2         dense vectors for the index here
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
        help=f"bm25, the folder of a model, or its name on the Hugging Face hub (default: $LSR_ENCODER, or {DEFAULT}, "
        "which comes along)",
    )
    parser.add_argument(
        "--vectors", type=Path, nargs="+", action="extend", default=[], metavar="FILE.parquet",
        help="ready vectors instead of text: columns id, terms or term_ids, weights",
    )  # fmt: skip
    parser.add_argument(
        "--dense", metavar="E", help="store dense vectors besides: the folder of a dense model, its name on the hub, "
        "or 'joint' where --encoder gives both; without CORPUS, add them to the index that is there"
    )  # fmt: skip
    add_passage_arguments(parser)
    parser.add_argument("--device", metavar="D", help="of models: cpu or cuda (default: cuda where there is one)")
    parser.add_argument(
        "--dtype",
        metavar="T",
        help="of models: float32, bfloat16 or float16 (default: on a cpu float32, if a model doesn't say bfloat16)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the index, or dense vectors, that are there")
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
    from lsr.query.engine.batches import available_cores

    check_passage_arguments(args)
    if args.passages and not args.corpus:
        raise UsageError("--passages cuts the texts of a CORPUS: name its folders and files")
    if args.dense is not None and not args.corpus and not args.vectors:
        return _add_dense(args)
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
    unit = "document" if manifest.passages is None else "passage"
    if args.json:
        from lsr.output.hits import json_line

        done = {
            "index": str(args.index),
            f"{unit}s": manifest.n_docs,
            "postings": manifest.n_postings,
            "size_bytes": manifest.size_bytes,
            "seconds": round(seconds, 3),
            "generation": manifest.generation,
        }
        print(json_line(done))
    else:
        per_second = manifest.n_docs / seconds
        rate = f"{per_second:,.{0 if per_second >= 10 else 1}f} a second"
        size = human_bytes(manifest.size_bytes)
        print(f"indexed {counted(manifest.n_docs, unit)} in {seconds:.1f} s ({rate}) into {args.index}, {size}")
    return 0


def _index(args: argparse.Namespace, progress: TerminalProgress, options: dict[str, Any]) -> tuple[Any, list[str]]:
    from lsr.encoders.registry import load_dense_encoder, load_encoder
    from lsr.indexer.pipeline import index_corpus

    name = args.encoder or default_encoder()
    if args.encoder is None and name == DEFAULT:
        note(f"encoding with {name}, the model that comes along; --encoder bm25 is quicker: words alone, no model")
    elif args.encoder is None:
        note(f"encoding with {name}, as LSR_ENCODER has it")
    placement = _placement(args)
    encoder = load_encoder(name, **({} if name in WORDS else placement))
    dense = None if args.dense is None else load_dense_encoder(args.dense, sparse=encoder, **placement)
    return index_corpus(
        args.corpus, args.index, encoder, dense=dense, splitter=splitter_of(args, encoder, dense),
        skip_bad=args.skip_bad, progress=progress, **options,
    )  # fmt: skip


def _placement(args: argparse.Namespace) -> dict[str, str]:
    """Return where and how precisely models compute, as far as the arguments say."""
    return {name: value for name in ("device", "dtype") if (value := getattr(args, name)) is not None}


def _index_vectors(
    args: argparse.Namespace, progress: TerminalProgress, options: dict[str, Any]
) -> tuple[Any, list[str]]:
    from lsr.encoders.registry import load_dense_encoder, load_encoder
    from lsr.indexer.pipeline import index_vectors

    encoder = None if args.encoder is None else load_encoder(args.encoder)
    dense = None if args.dense is None else load_dense_encoder(args.dense, sparse=encoder, **_placement(args))
    return index_vectors(args.vectors, args.index, encoder=encoder, dense=dense, progress=progress, **options)


def _add_dense(args: argparse.Namespace) -> int:
    """Add dense vectors to the index that is there, and say what was done."""
    from lsr.encoders.registry import JOINT, load_dense_encoder, open_document_encoder
    from lsr.errors import UsageError
    from lsr.indexer.storage.index import StoredIndex
    from lsr.indexer.update.add_dense import add_dense

    if args.encoder is not None:
        raise UsageError("--encoder goes with CORPUS: dense vectors alone leave the index's encoder as it is")
    with StoredIndex.open(args.index) as index:
        recorded = index.manifest.encoder
    of_model = recorded.get("query_side") in ("model", "table")
    sparse = open_document_encoder(recorded, (), **_placement(args)) if args.dense == JOINT and of_model else None
    encoder = load_dense_encoder(args.dense, sparse=sparse, **_placement(args))
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        manifest = add_dense(args.index, encoder, overwrite=args.overwrite, progress=progress)
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    size_bytes = sum(info.size_bytes for s in manifest.segments if s.dense for info in s.dense.files.values())
    if args.json:
        from lsr.output.hits import json_line

        done = {
            "index": str(args.index),
            "documents": manifest.n_docs,
            "dimension": encoder.dimension,
            "size_bytes": size_bytes,
            "seconds": round(seconds, 3),
            "generation": manifest.generation,
        }
        print(json_line(done))
    else:
        documents = counted(manifest.n_docs, "document")
        print(f"added dense vectors of {documents} to {args.index} in {seconds:.1f} s, {human_bytes(size_bytes)}")
    return 0
