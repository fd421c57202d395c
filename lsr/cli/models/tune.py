"""`lsr tune`: hybrid search fitted to an index's own documents."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import add_command, add_index_argument, index_path, note, note_compiling, positive
from lsr.output.numbers import counted
from lsr.output.terminal import say

if TYPE_CHECKING:
    from lsr.training.tuning.fusion import Tuned

EXAMPLES = """\
examples:
  lsr tune                                   by queries made from ./.lsr's documents
  lsr tune --judged qrels.tsv --queries queries.tsv
  lsr tune --judged beir/nfcorpus --split dev
  lsr tune --reset                           the usual settings again
  lsr tune --minutes 30 --output my-model    the model, trained on made queries
  lsr tune --minutes 30 --output my-model --judged beir/nfcorpus
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "tune",
        "fit hybrid search to an index",
        "Compare settings of hybrid search (weights of both legs and of exact words,\n"
        "share of neighbours, candidates) on queries made from the index's documents, or\n"
        "on judged queries, and keep the better ones with it: 'lsr search --hybrid'\n"
        "uses them, 'lsr stats' shows them. Where none is better beyond chance, the usual\n"
        "ones stay. With --minutes, train the index's model on made queries instead,\n"
        "and on judged ones, where there are any.\n"
        "docs/HYBRID.md and docs/TRAINING.md have more.",
        EXAMPLES,
    )
    add_index_argument(parser)
    parser.add_argument(
        "--made",
        type=positive,
        metavar="N",
        help="number of queries to make from documents (default: 300; with --minutes, 2,000)",
    )
    parser.add_argument(
        "--minutes",
        type=positive,
        metavar="N",
        help="train the index's model for so many minutes, by the scores of the index's own hybrid search, and say "
        "whether it is better on other made queries",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of that training, which it resumes")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the made queries (default: 0)")
    parser.add_argument(
        "--judged",
        type=Path,
        metavar="QRELS",
        help="judged queries instead (with --minutes, beside made ones): a file of qrels, or a BEIR folder",
    )
    parser.add_argument("--queries", type=Path, metavar="FILE", help="texts of the judged queries, for a file of qrels")
    parser.add_argument("--split", metavar="S", help="split of a BEIR folder's qrels (default: dev)")
    parser.add_argument("--reset", action="store_true", help="take the index's own settings away")
    parser.add_argument("--encoder", metavar="E", help="where the index's model is now, if it isn't where it was")
    parser.add_argument("--dense", metavar="E", help="where its dense model is now")
    parser.add_argument("--threads", type=positive, metavar="N", help="number of threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tune the index and report what was chosen, on what."""
    from lsr.errors import UsageError

    path = index_path(args, to_write=True)
    own = ("made", "minutes", "output", "seed", "judged", "queries", "split", "encoder", "dense")
    if args.reset:
        given = [name for name in own if getattr(args, name) is not None]
        if given:
            raise UsageError(f"--reset takes settings away, and chooses none: leave out --{given[0]}")
        return _reset(args, path)
    if args.judged is None and (args.queries is not None or args.split is not None):
        raise UsageError("--queries and --split belong to judged queries: name their qrels by --judged")
    if args.minutes is not None or args.output is not None:
        return _tune_model(args, path)
    if args.judged is not None and (args.made is not None or args.seed is not None):
        raise UsageError("--made and --seed are of made queries: leave them out, or --judged")
    from lsr.training.tuning.fusion import N_QUERIES, tune_fusion

    judged = None if args.judged is None else _judged(args)
    note_compiling("search_segments")
    began = time.perf_counter()
    tuned = tune_fusion(
        path,
        n_queries=args.made or N_QUERIES,
        seed=args.seed or 0,
        judged=judged,
        encoder=args.encoder,
        dense=args.dense,
        threads=args.threads,
    )
    _report(args, path, tuned, time.perf_counter() - began)
    return 0


def tune_new(path: Path, *, threads: int | None) -> None:
    """Tune an index that was just made, by made queries, and say what was chosen.

    Where no query can be made, that is said, and the index stays as it is.
    """
    from lsr.errors import LsrError
    from lsr.training.tuning.fusion import tune_fusion

    try:
        tuned = tune_fusion(path, threads=threads)
    except LsrError as error:
        note(f"not tuned: {error}")
        return
    verb = "now have" if tuned.choice.is_better else "keep"
    note(f"by {counted(tuned.n_queries, 'made query')}, hybrid searches {verb} {tuned.choice.tuning.described}")


def _tune_model(args: argparse.Namespace, path: Path) -> int:
    """Train the index's model further and report whether it is better."""
    from lsr.errors import UsageError

    if args.minutes is None or args.output is None:
        raise UsageError("training a model takes a time and a folder: give both --minutes and --output")
    judged = None if args.judged is None else _judged(args)
    from lsr.training.tuning.model import N_QUERIES, adapt_model

    note_compiling("search_segments")
    began = time.perf_counter()
    found = adapt_model(
        path,
        args.output,
        minutes=args.minutes,
        n_queries=args.made or N_QUERIES,
        seed=args.seed or 0,
        judged=judged,
        encoder=args.encoder,
        dense=args.dense,
        threads=args.threads,
    )
    if args.json:
        from dataclasses import asdict

        from lsr.io.printable import json_line

        done = {**asdict(found), "model": str(found.model), "seconds": round(time.perf_counter() - began, 3)}
        say(json_line(done))
        return 0
    note(
        f"trained {found.steps:,} steps on {counted(found.n_examples, 'example')}; nDCG@10 of {found.n_held_out:,} "
        f"other {found.queries} by terms alone: {found.before:.4f} before, {found.after:.4f} after"
    )
    if found.is_better:
        say(f"the model in {found.model} is better: index the texts again with --encoder {found.model}")
    else:
        say(f"the model in {found.model} is not better beyond chance: keep the one that the index has")
    return 0


def _reset(args: argparse.Namespace, path: Path) -> int:
    from lsr.training.tuning.fusion import forget_tuning

    generation = forget_tuning(path)
    if args.json:
        from lsr.io.printable import json_line

        say(json_line({"index": str(path), "tuning": None, "generation": generation}))
    else:
        say(f"hybrid searches of {path} have the usual settings again")
    return 0


def _judged(args: argparse.Namespace) -> tuple[Any, Any]:
    """Return texts of queries and judgements, as the arguments name them."""
    from lsr.errors import UsageError
    from lsr.eval.data.datasets import load_dataset
    from lsr.eval.data.qrels import read_qrels
    from lsr.eval.data.query_files import read_queries

    if args.judged.is_dir():
        if args.queries is not None:
            raise UsageError("--queries goes with a file of qrels: a BEIR folder has its own queries")
        dataset = load_dataset(args.judged, split=args.split or "dev")
        return dataset.queries, dataset.qrels
    if args.split is not None:
        raise UsageError(f"--split is of a BEIR folder, but {args.judged} is a file")
    if args.queries is None:
        raise UsageError("--judged names qrels, which have no texts: give those of the queries by --queries FILE")
    return read_queries(args.queries), read_qrels(args.judged)


def _report(args: argparse.Namespace, path: Path, tuned: Tuned, seconds: float) -> None:
    choice = tuned.choice
    if args.json:
        from lsr.io.printable import json_line

        done = {
            "index": str(path),
            "queries": tuned.queries,
            "n_queries": tuned.n_queries,
            "legs": {name: round(value, 4) for name, value in tuned.legs.items()},
            "usual": round(choice.usual_ndcg, 4),
            "chosen": round(choice.chosen_ndcg, 4),
            "is_changed": choice.is_better,
            "tuning": {name: value for name, value in choice.tuning.to_json().items() if name != "chosen_on"},
            "generation": tuned.generation,
            "seconds": round(seconds, 3),
        }
        say(json_line(done))
        return
    legs = ", ".join(f"{name} {value:.4f}" for name, value in tuned.legs.items())
    note(f"nDCG@10 of {counted(tuned.n_queries, tuned.queries.removesuffix('queries') + 'query')}: {legs}")
    note(f"fused with the usual settings {choice.usual_ndcg:.4f}, with those chosen {choice.chosen_ndcg:.4f}")
    if choice.is_better:
        say(f"hybrid searches of {path} now have {choice.tuning.described}")
    else:
        say(f"no other settings are better beyond chance: hybrid searches of {path} keep {choice.tuning.described}")
