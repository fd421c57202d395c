"""`lsr mine`: hard negatives for training examples, queries for documents without any, and teachers' scores."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from lsr.cli.common import TerminalProgress, add_command, add_device_argument, note, note_compiling, positive
from lsr.output.numbers import counted
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  8 negatives a query, from BM25's best 200:
    lsr mine pairs.parquet --encoder bm25 --output mined.parquet
  the mistakes of a model, filtered by a teacher:
    lsr mine pairs.parquet --encoder my-model --index mining/index --skip 5 \\
      --teacher dense:all-MiniLM-L6-v2 --output mined.parquet
  synthetic queries for documents:
    lsr mine notes/ --make-queries --output made.parquet
  a teacher's scores, cached before a training:
    lsr mine pairs.parquet --teacher dense:all-MiniLM-L6-v2 --scores-only
  keyphrases of a corpus, for terms beside tokens:
    lsr mine notes/ --keyphrases --output phrases.txt
  overlap with test collections:
    lsr mine pairs.parquet --check-overlap beir/
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "mine",
        "mine hard negatives, generate queries, cache teachers' scores",
        "Read training examples (.parquet .jsonl, .gz of these, BEIR folders), mine hard\n"
        "negatives from the index of a model, and write the examples with them to a\n"
        "Parquet file for 'lsr train'. docs/TRAINING.md has more.",
        EXAMPLES,
    )
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA", help="examples; with --make-queries any texts")
    parser.add_argument("--output", type=Path, metavar="FILE.parquet", help="file for the examples")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    source = parser.add_argument_group("source of the negatives")
    source.add_argument("--encoder", metavar="E", help="bm25, the folder of a model, or its name on the hub")
    source.add_argument(
        "--index",
        type=Path,
        metavar="DIR",
        help="index to search; with --encoder it is made and kept if it doesn't exist",
    )
    source.add_argument(
        "--candidate-pool",
        type=Path,
        nargs="+",
        default=[],
        metavar="CORPUS",
        help="documents beside those of the examples",
    )
    source.add_argument("--haystack", nargs="+", action=_Renamed, const="--candidate-pool", help=argparse.SUPPRESS)
    choice = parser.add_argument_group("choice of the negatives")
    choice.add_argument(
        "--negatives", type=positive, default=8, metavar="N", help="number for each example (default: 8)"
    )
    choice.add_argument("--skip", type=int, default=0, metavar="N", help="skip the best N candidates (default: 0)")
    choice.add_argument(
        "--depth", type=positive, default=200, metavar="N", help="number of best candidates (default: 200)"
    )
    choice.add_argument(
        "--order",
        choices=("random", "top"),
        default="random",
        help="draw from the candidates, or take the best (default: random)",
    )
    choice.add_argument(
        "--teacher", action="append", default=[], metavar="T",
        help="bm25, dense:MODEL, sparse:MODEL, cross-encoder:MODEL or file; its scores are written, too",
    )  # fmt: skip
    choice.add_argument(
        "--max-teacher-ratio", type=float, default=0.95, metavar="R",
        help="skip candidates that the teacher scores above R times the positive (default: 0.95)",
    )  # fmt: skip
    choice.add_argument(
        "--teacher-margin", type=float, metavar="M", help="skip candidates within M of the positive's score"
    )
    choice.add_argument("--seed", type=int, default=0, metavar="N", help="seed of random choices (default: 0)")
    data = parser.add_argument_group("input")
    data.add_argument(
        "--corpus", type=Path, nargs="+", default=[], metavar="CORPUS", help="documents that examples name by ids"
    )
    data.add_argument("--queries", type=Path, metavar="FILE", help="queries that examples name by ids")
    data.add_argument("--split", default="train", metavar="S", help="split of BEIR folders' qrels (default: train)")
    data.add_argument("--make-queries", action="store_true", help="generate queries from the documents in DATA")
    data.add_argument(
        "--sample", type=float, default=1.0, metavar="P",
        help="share of the examples, or of the documents to generate queries from (default: 1)",
    )  # fmt: skip
    data.add_argument(
        "--per-document", type=positive, default=1, metavar="N", help="queries generated from a document (default: 1)"
    )
    data.add_argument(
        "--keyphrases", action="store_true", help="write phrases that are keyphrases of several documents in DATA, one "
        "a line, to a text file, for encoder.phrases.files of a config"
    )  # fmt: skip
    data.add_argument("--most", type=positive, default=5000, metavar="N",
                      help="number of --keyphrases (default: 5000)")  # fmt: skip
    data.add_argument("--min-documents", type=positive, default=3, metavar="N",
                      help="documents that a keyphrase is taken from (default: 3)")  # fmt: skip
    also = parser.add_argument_group("caches, models, checks")
    also.add_argument("--scores-only", action="store_true", help="cache the teachers' scores; needs no --output")
    also.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder of prepared examples and teachers' scores (default: $LSR_CACHE, or ~/.cache/lsr)",
    )
    add_device_argument(also)
    also.add_argument("--dtype", metavar="T", help="dtype of the teachers' models: float32, bfloat16 or float16")
    also.add_argument(
        "--max-length", type=positive, metavar="N", help="largest number of tokens that the teachers' models read"
    )
    also.add_argument(
        "--check-overlap", type=Path, nargs="+", default=[], metavar="BEIR",
        help="refuse examples that share a run of 13 words with these test collections",
    )  # fmt: skip
    parser.add_argument("--threads", type=positive, metavar="N", help="number of threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print the counts as a JSON object")
    parser.set_defaults(run=run)


class _Renamed(argparse.Action):
    """Option of an earlier version, refused with its name now, `const`."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> None:
        parser.error(f"{self.option_strings[0]} is now called {self.const}")


def run(args: argparse.Namespace) -> int:
    """Mine, generate or cache, and print the counts."""
    _check(args)
    if args.keyphrases:
        return _mine_keyphrases(args)
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        done = _run(args, progress)
    finally:
        progress.close()
    done["seconds"] = round(time.perf_counter() - began, 3)
    if args.json:
        from lsr.io.printable import json_line

        say(json_line(done))
    elif args.output is not None:
        say(f"wrote {counted(done['examples'], 'example')} to {args.output} in {done['seconds']:.1f} s")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError or LsrError for wrong options, before anything is read."""
    from lsr.errors import LsrError, UsageError
    from lsr.training.mining.hard_negatives import MiningOptions

    MiningOptions(**_mining(args))
    if args.keyphrases:
        _check_keyphrases(args)
        return
    if args.scores_only and not args.teacher:
        raise UsageError("--scores-only: name a --teacher whose scores are cached")
    if args.scores_only and args.output is not None:
        raise UsageError("--scores-only writes no examples: leave out --output")
    mines = args.encoder is not None or args.index is not None
    if args.output is None:
        if not (args.scores_only or args.check_overlap):
            raise UsageError("name the file to write with --output FILE.parquet")
        return
    if not mines and not args.make_queries:
        raise UsageError("name the model to mine with by --encoder, such as bm25, or an --index")
    if len(args.teacher) > 1:
        raise UsageError(f"{len(args.teacher)} teachers, but one filters the negatives: give that --teacher")
    if args.output.exists() and not args.overwrite:
        raise LsrError(f"{args.output} exists already: --overwrite replaces it")


def _check_keyphrases(args: argparse.Namespace) -> None:
    from lsr.errors import LsrError, UsageError

    others = ("make_queries", "scores_only", "encoder", "index", "teacher", "check_overlap")
    given = next((name for name in others if getattr(args, name)), None)
    if given is not None:
        raise UsageError(f"--keyphrases mines phrases alone: leave out --{given.replace('_', '-')}")
    if args.output is None:
        raise UsageError("name the text file for the keyphrases by --output FILE.txt")
    if args.output.exists() and not args.overwrite:
        raise LsrError(f"{args.output} exists already: --overwrite replaces it")


def _mine_keyphrases(args: argparse.Namespace) -> int:
    from lsr.indexer.corpus.reader import read_corpus
    from lsr.io.text_files import written_whole
    from lsr.training.vocabulary.keyphrases import mine_keyphrases

    documents = list(read_corpus(args.data))
    phrases = mine_keyphrases(documents, most=args.most, min_documents=args.min_documents)
    with written_whole(args.output) as file:
        file.writelines(f"{phrase}\n" for phrase in phrases)
    if args.json:
        from lsr.io.printable import json_line

        say(json_line({"keyphrases": len(phrases), "documents": len(documents), "output": str(args.output)}))
    else:
        say(f"wrote {counted(len(phrases), 'keyphrase')} of {counted(len(documents), 'document')} to {args.output}")
    return 0


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
        from lsr.training.synthetic.examples import read_synthetic_examples
        from lsr.training.synthetic.queries import QueryGeneration

        making = QueryGeneration(sample=args.sample, per_document=args.per_document, seed=args.seed)
        made = read_synthetic_examples(args.data, making, cache=_cache(args, "examples"))
        for line in made.summary():
            note(line)
        return made
    cache = _cache(args, "examples")
    examples = read_examples(args.data, corpus=args.corpus, queries=args.queries, split=args.split, cache=cache)
    for line in examples.report.summary():
        note(line)
    return examples if args.sample == 1 else examples.sample(args.sample, args.seed)


def _cache(args: argparse.Namespace, part: str) -> Path:
    """Return the cache of the examples or of the teachers, the same that a training uses."""
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
    note(f"{teacher.name}: cached {counted(computed, 'new value')}")
    return computed


def _mine(args: argparse.Namespace, examples: Any, teachers: list[Any], progress: TerminalProgress) -> dict[str, Any]:
    from lsr.training.mining.mined_file import mine_to_file, write_examples

    if args.encoder is None and args.index is None:
        progress.start("writing", len(examples), "example")
        return {"examples": write_examples(args.output, (examples[i] for i in range(len(examples)))), "negatives": 0}

    from lsr.training.mining.hard_negatives import MiningOptions

    note_compiling("search_segments")
    report = mine_to_file(
        examples, _encoder(args), args.output, index=args.index, mining=MiningOptions(**_mining(args)),
        teacher=teachers[0] if teachers else None, more=_pool(args, examples), threads=args.threads,
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
    from lsr.encoders.device import placement_of
    from lsr.encoders.registry import load_encoder

    return load_encoder(args.encoder, **placement_of(args.encoder, device=args.device))


def _pool(args: argparse.Namespace, examples: Any) -> Any:
    """Yield the documents of the candidate pool that aren't in the examples."""
    from lsr.indexer.corpus.reader import read_corpus

    for corpus in examples.corpora():
        for row in range(len(corpus)):
            yield corpus[row]
    if args.candidate_pool:
        yield from read_corpus(args.candidate_pool)
