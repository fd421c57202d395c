"""`lsr encode`: encode texts into Parquet shards of vectors that `lsr index --vectors` takes."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lsr.cli.common import TerminalProgress, add_command, add_device_argument, corpus_place, index_place, note, positive
from lsr.cli.indexes.passage_options import add_passage_arguments, check_passage_arguments, reader_of
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
    parser.add_argument("--family", metavar="F", help="family of a plain checkpoint, such as splade-doc")
    parser.add_argument(
        "--max-length", type=positive, metavar="N", help="largest number of tokens of a document (default: the model's)"
    )
    parser.add_argument("--top-k", type=positive, metavar="N", help="keep the N largest weights of a document")
    parser.add_argument("--threshold", type=float, metavar="W", help="keep weights above W")
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
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Encode, and print the counts."""
    from lsr.encoders.threads import limited_threads
    from lsr.indexer.corpus.reader import read_corpus
    from lsr.indexer.corpus.report import CorpusReport

    check_passage_arguments(args)
    encoder = _load(args)
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
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        with limited_threads(args.threads):
            result = _encoded(documents, encoder, args.out, with_text=not args.no_text, progress=progress)
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


def _encoded(documents: Iterable[Document], encoder: Any, out: Path | str, **options: Any) -> _Encoded:
    if isinstance(out, str):
        from lsr.indexer.encode.encode_to_store import encode_to_store

        stored = encode_to_store(documents, encoder, out, **options)
        return _Encoded(stored.url, stored.n_shards, stored.n_docs, stored.n_resumed)
    from lsr.indexer.encode.encode_corpus import encode_corpus

    kept = encode_corpus(documents, encoder, out, **options)
    return _Encoded(str(out), len(kept.shards), kept.n_docs, kept.n_resumed)


def _load(args: argparse.Namespace) -> Any:
    from lsr.encoders.device import placement_of
    from lsr.errors import UsageError

    names = ("max_length",) if args.dense else ("family", "max_length", "top_k", "threshold")
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    options |= placement_of(args.encoder, device=args.device, dtype=args.dtype)
    if not args.dense:
        from lsr.encoders.registry import load_encoder

        return load_encoder(args.encoder, **options)
    if any(value is not None for value in (args.family, args.top_k, args.threshold)):
        raise UsageError("--family, --top-k and --threshold are for sparse models: leave them out of --dense")
    from lsr.encoders.registry import load_dense_encoder

    return load_dense_encoder(args.encoder, **options)
