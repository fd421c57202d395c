"""`lsr expand`: queries that documents may answer, to be read behind their texts."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, add_device_argument, note, positive
from lsr.output.numbers import counted
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr expand notes/ --model path/to/doc2query --out expansions.jsonl
  lsr index notes/ --encoder bm25 --expansions expansions.jsonl
  the better third of them, by a model's scores:
    lsr expand notes/ --model path/to/doc2query --scorer sparse:default \\
      --keep 0.3 --out expansions.jsonl
  a decoder with a prompt:
    lsr expand notes/ --model path/to/llama --prompt 'Text: {text} Query: ' \\
      --out expansions/

After an interruption, the same command resumes.
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "expand",
        "generate queries that documents answer, to index with them",
        "Read folders and files as 'lsr index' does, let a model write queries for each\n"
        "document, and write them to a file (.jsonl, .jsonl.gz) or a folder of Parquet\n"
        "shards, which 'lsr index --expansions' and 'lsr train' read. docs/ENCODERS.md\n"
        "has what it is worth.",
        EXAMPLES,
    )
    parser.add_argument("corpus", nargs="+", type=Path, metavar="CORPUS", help="folders and files to read")
    parser.add_argument("--out", required=True, type=Path, metavar="OUT", help="file or folder for the expansions")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    source = parser.add_argument_group("source of the expansions").add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--model", metavar="M", help="encoder-decoder (T5) or decoder (Llama): a folder, or a name on the hub"
    )
    source.add_argument(
        "--make-queries", action="store_true", help="no model: titles, sentences and keyphrases of the document itself"
    )
    source.add_argument("--from", dest="given", type=Path, metavar="FILE", help="existing expansions, to be scored")
    writing = parser.add_argument_group("generation")
    writing.add_argument(
        "--per-document", type=positive, metavar="N", help="queries of a document (default: 5; of --make-queries: 3)"
    )
    writing.add_argument(
        "--prompt", metavar="TEXT", help="text around {text}, the document's (default: the document alone; of decoders "
        "a question about it)"
    )  # fmt: skip
    writing.add_argument("--top-k", type=positive, default=10, metavar="N",
                         help="draw each token from the N likeliest (default: 10)")  # fmt: skip
    writing.add_argument("--temperature", type=float, default=1.0, metavar="T", help="of the draws (default: 1)")
    writing.add_argument("--max-new-tokens", type=positive, default=32, metavar="N",
                         help="largest number of tokens of a query (default: 32)")  # fmt: skip
    writing.add_argument("--max-length", type=positive, metavar="N",
                         help="tokens of a document that are read (default: the model's)")  # fmt: skip
    writing.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (default: 0)")
    choice = parser.add_argument_group("choice")
    choice.add_argument(
        "--scorer", metavar="S", help="score each query for its document: dense:MODEL, sparse:MODEL or "
        "cross-encoder:MODEL"
    )  # fmt: skip
    choice.add_argument(
        "--keep", type=float, default=1.0, metavar="P", help="keep the share P of all queries, those of the highest "
        "scores (default: 1)"
    )  # fmt: skip
    add_device_argument(parser)
    parser.add_argument("--dtype", metavar="T", help="data type of the models: float32, bfloat16 or float16")
    parser.add_argument("--skip-bad", action="store_true", help="skip and count documents that can't be read")
    parser.add_argument("--threads", type=positive, metavar="N", help="number of threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print the counts as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Expand the documents, and print the counts."""
    from lsr.encoders.threads import limited_threads
    from lsr.errors import UsageError
    from lsr.indexer.corpus.reader import read_corpus
    from lsr.indexer.corpus.report import CorpusReport
    from lsr.training.expansion.expand import expand_corpus

    if args.keep != 1.0 and args.scorer is None and args.given is None:
        raise UsageError("--keep chooses by scores: name a --scorer")
    report = CorpusReport()
    progress = TerminalProgress()
    began = time.perf_counter()

    def documents() -> Iterator[Any]:
        exclude = [args.out.resolve(), args.out.with_name(f"{args.out.name}.partial").resolve()]
        return read_corpus(args.corpus, skip_bad=args.skip_bad, report=report, exclude=exclude)

    try:
        with limited_threads(args.threads):
            generator = _generator(args, documents)
            done = expand_corpus(
                documents(), generator, args.out,
                scorer=_scorer(args), keep=args.keep, overwrite=args.overwrite, progress=progress,
            )  # fmt: skip
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    for line in report.summary():
        note(line)
    if args.json:
        from lsr.io.printable import json_line

        counts = {"documents": done.n_docs, "resumed": done.n_resumed, "expansions": done.n_expansions}
        say(json_line({"out": str(args.out), **counts, "seconds": round(seconds, 3)}))
        return 0
    before = f", {done.n_resumed:,} of them before" if done.n_resumed else ""
    expansions = counted(done.n_expansions, "expansion")
    say(f"wrote {expansions} of {counted(done.n_docs, 'document')}{before} to {args.out} in {seconds:.1f} s")
    return 0


def _generator(args: argparse.Namespace, documents: Any) -> Any:
    from lsr.errors import UsageError
    from lsr.training.expansion.generators import GivenExpansions, MadeQueries

    given = [name for name in ("per_document", "prompt", "max_length") if getattr(args, name) is not None]
    if args.given is not None:
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} is of queries to be generated: leave it out of --from")
        return GivenExpansions(args.given)
    if args.make_queries:
        if args.prompt is not None or args.max_length is not None:
            raise UsageError("--prompt and --max-length are of a --model: leave them out of --make-queries")
        return MadeQueries(documents(), per_document=args.per_document or 3, seed=args.seed)
    from lsr.training.expansion.language_model import Sampling, load_generator

    names = ("top_k", "temperature", "max_new_tokens", "max_length", "prompt", "seed")
    sampling = Sampling(per_document=args.per_document or 5, **{name: getattr(args, name) for name in names})
    return load_generator(args.model, sampling, device=args.device, dtype=args.dtype)


def _scorer(args: argparse.Namespace) -> Any:
    if args.scorer is None:
        return None
    from lsr.errors import UsageError
    from lsr.training.teachers.registry import open_teacher

    if ":" not in args.scorer:
        raise UsageError(f"--scorer {args.scorer}: name a model, as dense:MODEL, sparse:MODEL or cross-encoder:MODEL")
    options = {name: value for name in ("device", "dtype") if (value := getattr(args, name)) is not None}
    return open_teacher(args.scorer, **options)
