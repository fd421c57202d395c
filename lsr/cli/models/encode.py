"""`lsr encode`: encode texts into Parquet shards of vectors that `lsr index --vectors` takes."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lsr.cli.common import TerminalProgress, add_command, add_device_argument, corpus_place, index_place, note, positive
from lsr.cli.indexes.passage_options import add_passage_arguments, check_passage_arguments, reader_of
from lsr.cli.indexes.ray_options import add_ray_arguments, as_json, check_ray_arguments, encoders_of, place_of
from lsr.cli.models.model_options import add_model_arguments, model_options
from lsr.output.terminal import say

if TYPE_CHECKING:
    from lsr.types import Document

EXAMPLES = """\
examples:
  lsr encode notes/ --encoder path/to/model --out vectors/
  lsr index --vectors vectors/*.parquet --encoder path/to/model
  lsr encode notes/ --encoder all-MiniLM-L6-v2 --dense --out dense/
  lsr encode s3://bucket/corpus/ --encoder default --out s3://bucket/vectors

After an interruption, the same command resumes.
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "encode",
        "turn text into vectors",
        "Read folders and files as 'lsr index' does, and write the vectors of their\n"
        "documents to Parquet files: id, terms, weights, title, text. Memory doesn't\n"
        "grow with the corpus.",
        EXAMPLES,
    )
    parser.add_argument(
        "corpus", nargs="+", type=corpus_place, metavar="CORPUS", help="folders and files to read, here or by URL"
    )
    parser.add_argument(
        "--encoder", required=True, metavar="E", help="the folder of a model, or its name on the Hugging Face hub"
    )
    parser.add_argument(
        "--out", required=True, type=index_place, metavar="DIR",
        help="the folder for the Parquet files, or the URL of an object store",
    )  # fmt: skip
    parser.add_argument("--dense", action="store_true", help="encode with a dense model: a column `vector`, of float16")
    add_model_arguments(parser)
    add_passage_arguments(parser, default="passages, without --no-text")
    add_device_argument(parser)
    parser.add_argument(
        "--dtype", metavar="T",
        help="int8, float32, bfloat16 or float16 "
        "(default: int8 for the bundled and exported models, others' own choice, or float32)",
    )  # fmt: skip
    parser.add_argument("--no-text", action="store_true", help="leave titles and texts out")
    parser.add_argument("--skip-bad", action="store_true", help="skip and count documents that can't be read")
    parser.add_argument("--threads", type=positive, metavar="N", help="number of threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print the counts as a JSON object")
    add_ray_arguments(parser, "encode")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Encode, and print the counts."""
    from lsr.encoders.threads import limited_threads
    from lsr.indexer.corpus.reader import read_corpus
    from lsr.indexer.corpus.report import CorpusReport

    check_passage_arguments(args)
    check_ray_arguments(args)
    options = _options(args)
    encoder = _load(args, options)
    report = CorpusReport()
    documents: Iterable[Document] = read_corpus(
        args.corpus, skip_bad=args.skip_bad, report=report,
        exclude=[] if isinstance(args.out, str) else [args.out.resolve()],
    )  # fmt: skip
    if args.no_text and args.passages is None:
        args.passages = False  # rows that can't be told to be passages, without the fields that say so
    reader = reader_of(args, encoder)
    if reader is not None:
        documents = reader.read(documents)
    workers = _workers(args, options)
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        with limited_threads(args.threads):
            result = _encoded(
                documents, encoder, args.out, with_text=not args.no_text, progress=progress, workers=workers,
                passages=None if reader is None else reader.settings,
            )  # fmt: skip
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    for line in [*report.summary(), *(() if reader is None else reader.summary())]:
        note(line)
    in_passages = reader is not None and reader.count.pieces > reader.count.documents
    unit = "passages" if in_passages else "documents"
    if args.json:
        from lsr.io.printable import json_line

        done = {
            "out": result.place,
            unit: result.n_docs,
            **({} if reader is None else {"tokens": reader.count.tokens, "tokens_read": reader.count.read}),
            "resumed": result.n_resumed,
            "shards": result.n_shards,
            "seconds": round(seconds, 3),
        }
        say(json_line(done))
        return 0
    fresh = result.n_docs - result.n_resumed
    before = f", {result.n_resumed:,} were encoded before" if result.n_resumed else ""
    rate = f"{fresh / seconds:,.1f} a second"
    say(f"encoded {fresh:,} {unit} in {seconds:.1f} s ({rate}) into {result.n_shards} files of {result.place}{before}")
    return 0


class _Encoded(NamedTuple):
    """The counts of what was encoded."""

    place: str
    n_shards: int
    n_docs: int
    n_resumed: int


def _encoded(documents: Iterable[Document], encoder: Any, out: Path | str, *, workers: Any, **options: Any) -> _Encoded:
    if isinstance(out, str):
        from lsr.errors import UsageError
        from lsr.indexer.encode.encode_to_store import encode_to_store

        if workers is not None:
            raise UsageError("--ray writes to a folder that all machines see: give --out one, instead of a URL")
        stored = encode_to_store(documents, encoder, out, **options)
        return _Encoded(stored.url, stored.n_shards, stored.n_docs, stored.n_resumed)
    from lsr.indexer.encode.encode_corpus import encode_corpus

    kept = encode_corpus(documents, encoder, out, workers=workers, **options)
    return _Encoded(str(out), len(kept.shards), kept.n_docs, kept.n_resumed)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the encoder's loading."""
    from lsr.encoders.device import placement_of
    from lsr.errors import UsageError

    options = model_options(args)
    if args.dense and options.keys() - {"max_length"}:
        raise UsageError("--family, --top-k, --threshold and --words are for sparse models: leave them out of --dense")
    return options | placement_of(args.encoder, device=args.device, dtype=args.dtype)


def _load(args: argparse.Namespace, options: dict[str, Any]) -> Any:
    if not args.dense:
        from lsr.encoders.registry import load_encoder

        return load_encoder(args.encoder, **options)
    from lsr.encoders.registry import load_dense_encoder

    return load_dense_encoder(args.encoder, **options)


def _workers(args: argparse.Namespace, options: dict[str, Any]) -> Any:
    name, given = place_of(args.encoder), as_json(options)
    if args.dense:
        return encoders_of(args, encoder=None, dense=name, dense_options=given, with_text=not args.no_text)
    return encoders_of(args, encoder=name, options=given, with_text=not args.no_text)
