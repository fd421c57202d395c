"""`lsr mine`: hard negatives for training examples, queries for documents without any, and teachers' scores."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, note, note_compiling, positive
from lsr.output.numbers import counted

EXAMPLES = """\
examples:
  8 negatives a query, from BM25's best 200:
    lsr mine pairs.parquet --encoder bm25 --output mined.parquet
  a model's mistakes, as far as a teacher agrees:
    lsr mine pairs.parquet --encoder my-model --index mining/index --skip 5 \\
      --teacher dense:all-MiniLM-L6-v2 --output mined.parquet
  queries for documents that have none:
    lsr mine notes/ --make-queries --output made.parquet
  what a training will ask a teacher, computed before:
    lsr mine pairs.parquet --teacher dense:all-MiniLM-L6-v2 --scores-only
  does anything stand in a test collection?
    lsr mine pairs.parquet --check-overlap beir/
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "mine",
        "find hard negatives, make queries, fill teachers' caches",
        "Read training examples (.parquet .jsonl, .gz of these, BEIR folders), search the\n"
        "index of a model for documents that look right and aren't, and write examples\n"
        "with them to a Parquet file that 'lsr train' takes. docs/TRAINING.md has more.",
        EXAMPLES,
    )
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA", help="examples; with --make-queries any texts")
    parser.add_argument("--output", type=Path, metavar="FILE.parquet", help="where the examples are written")
    parser.add_argument("--overwrite", action="store_true", help="replace the file that is there")
    source = parser.add_argument_group("where negatives come from")
    source.add_argument("--encoder", metavar="E", help="bm25, the folder of a model, or its name on the hub")
    source.add_argument(
        "--index", type=Path, metavar="DIR", help="an index to search; with --encoder made and kept there if it is none"
    )
    source.add_argument(
        "--haystack", type=Path, nargs="+", default=[], metavar="CORPUS", help="documents beside those of the examples"
    )
    choice = parser.add_argument_group("which are taken")
    choice.add_argument("--negatives", type=positive, default=8, metavar="N", help="of each example (default: 8)")
    choice.add_argument("--skip", type=int, default=0, metavar="N", help="leave out the very best N (default: 0)")
    choice.add_argument("--depth", type=positive, default=200, metavar="N", help="look at the best N (default: 200)")
    choice.add_argument(
        "--order", choices=("random", "top"), default="random", help="any of these, or the best (default: random)"
    )
    choice.add_argument(
        "--teacher", action="append", default=[], metavar="T",
        help="bm25, dense:MODEL, sparse:MODEL, cross-encoder:MODEL or file; its scores are written too",
    )  # fmt: skip
    choice.add_argument(
        "--max-teacher-ratio", type=float, default=0.95, metavar="R",
        help="no negative that the teacher scores above R times the positive (default: 0.95)",
    )  # fmt: skip
    choice.add_argument("--teacher-margin", type=float, metavar="M", help="nor one within M of the positive")
    choice.add_argument("--seed", type=int, default=0, metavar="N", help="decides what is left to chance (default: 0)")
    data = parser.add_argument_group("how the data is read")
    data.add_argument("--corpus", type=Path, nargs="+", default=[], metavar="CORPUS", help="documents named by ids")
    data.add_argument("--queries", type=Path, metavar="FILE", help="queries named by ids")
    data.add_argument("--split", default="train", metavar="S", help="of BEIR folders' qrels (default: train)")
    data.add_argument("--make-queries", action="store_true", help="make queries of the documents in DATA")
    data.add_argument(
        "--sample", type=float, default=1.0, metavar="P",
        help="take this share of the examples, or of the documents to make queries of",
    )  # fmt: skip
    data.add_argument(
        "--per-document", type=positive, default=1, metavar="N", help="queries of a document (default: 1)"
    )
    also = parser.add_argument_group("beside mining")
    also.add_argument("--scores-only", action="store_true", help="fill the teachers' caches; needs no --output")
    also.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="what is prepared and computed is kept there (default: $LSR_CACHE, or ~/.cache/lsr)",
    )
    also.add_argument("--device", metavar="D", help="of the models: cpu or cuda")
    also.add_argument("--dtype", metavar="T", help="of the teachers' models: float32, bfloat16 or float16")
    also.add_argument("--max-length", type=positive, metavar="N", help="tokens that the teachers' models read")
    also.add_argument(
        "--check-overlap", type=Path, nargs="+", default=[], metavar="BEIR",
        help="refuse examples that share a run of 13 words with these test collections",
    )  # fmt: skip
    parser.add_argument("--threads", type=positive, metavar="N", help="threads (default: one a core)")
    parser.add_argument("--json", action="store_true", help="print what was done as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what is asked, and say what was done."""
    _check(args)
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        done = _run(args, progress)
    finally:
        progress.close()
    done["seconds"] = round(time.perf_counter() - began, 3)
    if args.json:
        from lsr.output.hits import json_line

        print(json_line(done))
    elif args.output is not None:
        print(f"wrote {counted(done['examples'], 'example')} to {args.output} in {done['seconds']:.1f} s")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError or LsrError for what can be told before anything is read."""
    from lsr.errors import LsrError, UsageError
    from lsr.training.mining.hard_negatives import Mining

    Mining(**_mining(args))
    if args.scores_only and not args.teacher:
        raise UsageError("--scores-only: name a --teacher whose scores are wanted")
    if args.scores_only and args.output is not None:
        raise UsageError("--scores-only writes no examples: leave out --output")
    mines = args.encoder is not None or args.index is not None
    if args.output is None:
        if not (args.scores_only or args.check_overlap):
            raise UsageError("name the file to write with --output FILE.parquet")
        return
    if not mines and not args.make_queries:
        raise UsageError("name the model whose mistakes are wanted with --encoder, such as bm25, or an --index")
    if len(args.teacher) > 1:
        raise UsageError(
            f"{len(args.teacher)} teachers, but one decides which negatives are taken: give that --teacher"
        )
    if args.output.exists() and not args.overwrite:
        raise LsrError(f"{args.output} is there already: --overwrite replaces it")


def _run(args: argparse.Namespace, progress: TerminalProgress) -> dict[str, Any]:
    examples = _examples(args)
    done: dict[str, Any] = {"examples": len(examples)}
    if args.check_overlap:
        from lsr.training.data.decontamination import check_no_overlap

        note(check_no_overlap(examples, args.check_overlap, progress=progress).summary())
    teachers = [_teacher(args, name, examples, progress) for name in args.teacher]
    if args.scores_only:
        done["computed"] = {teacher.name: _fill(teacher, examples, progress) for teacher in teachers}
    elif args.output is not None:
        done |= {"output": str(args.output)} | _mine(args, examples, teachers, progress)
    return done


def _examples(args: argparse.Namespace) -> Any:
    from lsr.training.data.read_examples import read_examples

    if args.make_queries:
        from lsr.training.synthetic.examples import read_made_examples
        from lsr.training.synthetic.queries import QueryMaking

        making = QueryMaking(sample=args.sample, per_document=args.per_document, seed=args.seed)
        made = read_made_examples(args.data, making, cache=_cache(args, "examples"))
        for line in made.tables[0].meta["making"]:
            note(line)
        return made
    cache = _cache(args, "examples")
    examples = read_examples(args.data, corpus=args.corpus, queries=args.queries, split=args.split, cache=cache)
    for line in examples.report.summary():
        note(line)
    return examples if args.sample == 1 else examples.sample(args.sample, args.seed)


def _cache(args: argparse.Namespace, part: str) -> Path:
    """Return where the examples or the teachers keep things, in the same places as a training looks for them."""
    from lsr.io.cache import cache_home

    return Path(args.cache or cache_home()) / part


def _teacher(args: argparse.Namespace, name: str, examples: Any, progress: TerminalProgress) -> Any:
    from lsr.training.teachers.registry import open_teacher

    options = {key: getattr(args, key) for key in ("device", "dtype", "max_length") if getattr(args, key) is not None}
    if ":" not in name:
        options = {}
    progress.start(f"opening {name}", None, "document")
    return open_teacher(name, cache=_cache(args, "teachers"), examples=examples, **options)


def _fill(teacher: Any, examples: Any, progress: TerminalProgress) -> int:
    progress.start(f"scoring by {teacher.name}", len(examples), "example")
    computed: int = teacher.prepare((examples[i] for i in range(len(examples))), progress.advance)
    note(f"{teacher.name}: computed and kept {counted(computed, 'value')} that were not there yet")
    return computed


def _mine(args: argparse.Namespace, examples: Any, teachers: list[Any], progress: TerminalProgress) -> dict[str, Any]:
    from lsr.training.mining.mined_file import mine_to_file, write_examples

    if args.encoder is None and args.index is None:
        progress.start("writing", len(examples), "example")
        return {"examples": write_examples(args.output, (examples[i] for i in range(len(examples)))), "negatives": 0}
    from lsr.training.mining.hard_negatives import Mining

    note_compiling("search_segments")
    report = mine_to_file(
        examples, _encoder(args), args.output, index=args.index, mining=Mining(**_mining(args)),
        teacher=teachers[0] if teachers else None, more=_haystack(args, examples), threads=args.threads,
        progress=progress,
    )  # fmt: skip
    for line in report.summary():
        note(line)
    return {"examples": report.n_examples, "negatives": report.n_negatives, "short": report.n_short}


def _mining(args: argparse.Namespace) -> dict[str, Any]:
    names = ("negatives", "skip", "depth", "order", "max_teacher_ratio", "teacher_margin", "seed")
    return {name: getattr(args, name) for name in names}


def _encoder(args: argparse.Namespace) -> Any:
    if args.encoder is None:
        return None
    from lsr.encoders.registry import load_encoder

    options = {"device": args.device} if args.device is not None and args.encoder != "bm25" else {}
    return load_encoder(args.encoder, **options)


def _haystack(args: argparse.Namespace, examples: Any) -> Any:
    """Yield the documents to mine from beside those that stand in examples."""
    from lsr.indexer.corpus.reader import read_corpus

    for corpus in examples.corpora():
        for row in range(len(corpus)):
            yield corpus[row]
    if args.haystack:
        yield from read_corpus(args.haystack)
