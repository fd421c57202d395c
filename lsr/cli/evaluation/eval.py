"""`lsr eval`: retrieval quality, costs, and whether differences are significant."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import TerminalProgress, positive
from lsr.cli.evaluation.eval_printer import Printer
from lsr.cli.evaluation.eval_systems import add_arguments, add_search_arguments, choose_systems
from lsr.cli.searches.option_arguments import NAMES as OPTION_NAMES

if TYPE_CHECKING:
    from lsr.eval.harness import Options
    from lsr.eval.reports.provenance import Provenance


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "eval",
        help="measure retrieval quality and cost on BEIR datasets",
        description="Measure encoders on BEIR datasets, or any system's run against qrels. Every judged query counts;"
        " docs/EVALUATION.md explains each rule.",
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument("datasets", nargs="*", metavar="DATASET", help="a BEIR folder, or a BEIR name to be downloaded")
    add_arguments(what)
    what.add_argument("--run", dest="run_files", type=Path, nargs="+", action="extend", metavar="FILE",
                      help="TREC runs of any systems, instead of DATASET")  # fmt: skip
    what.add_argument("--qrels", type=Path, metavar="FILE", help="judgements for --run, TREC or BEIR format")
    add_search_arguments(parser.add_argument_group("search options of every encoder"))
    rules = parser.add_argument_group("rules")
    rules.add_argument("--split", default="test", help="of the qrels (default: test)")
    rules.add_argument("--measures", nargs="+", metavar="M", help="such as nDCG@10; the first decides comparisons")
    rules.add_argument("-k", type=positive, default=100, metavar="K", help="results a query (default: 100)")
    rules.add_argument("--drop-identical-ids", action="store_true",
                       help="drop a hit whose doc_id is the query_id (ArguAna, Quora)")  # fmt: skip
    rules.add_argument("--threads", type=positive, metavar="N",
                       help="for QPS, encoding and indexing (default: 1 for QPS, else all cores)")  # fmt: skip
    out = parser.add_argument_group("output")
    out.add_argument("--json", action="store_true", help="print one JSON object a line")
    out.add_argument("--per-query", action="store_true", help="also print and keep the value of every query")
    out.add_argument("--output", type=Path, metavar="DIR", help="write result files, runs and plots there")
    out.add_argument("--cache", type=Path, metavar="DIR", help="of datasets and indexes (default: ~/.cache/lsr)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from lsr.errors import UsageError
    from lsr.eval.harness import Options
    from lsr.eval.measures.measures import DEFAULT_MEASURES
    from lsr.eval.reports.provenance import provenance

    if bool(args.run_files) == bool(args.datasets):
        raise UsageError("name what to measure: either DATASET… or --run FILE with --qrels FILE")
    if bool(args.run_files) != bool(args.qrels) or bool(args.vectors) != bool(args.queries):
        raise UsageError("--run and --qrels go together, as do --vectors and --queries")
    options = Options(args.k, tuple(args.measures or DEFAULT_MEASURES), args.drop_identical_ids)
    made_by = provenance(_command(args))
    if args.run_files:
        _evaluate_runs(args, options, made_by)
    else:
        _evaluate_systems(args, options, made_by)
    return 0


def _evaluate_runs(args: argparse.Namespace, options: Options, made_by: Provenance) -> None:
    from lsr.eval.data.qrels import read_qrels
    from lsr.eval.data.runs import read_run
    from lsr.eval.harness import evaluate_run
    from lsr.eval.reports.table import EvaluationTable
    from lsr.eval.systems.registry import distinct_names

    qrels = read_qrels(args.qrels)
    names = [name or str(path) for name, path in zip(distinct_names(args.run_files), args.run_files, strict=True)]
    dataset = _name_and_split(args.qrels)
    printer = Printer(args, options.measures, EvaluationTable(dataset[:1], names, options.measures))
    for name, path in zip(names, args.run_files, strict=True):
        printer.add(evaluate_run(name, read_run(path), qrels, dataset, options, made_by))
    printer.finish()


def _evaluate_systems(args: argparse.Namespace, options: Options, made_by: Provenance) -> None:
    from lsr.eval.experiment import Experiment, open_datasets
    from lsr.eval.reports.table import EvaluationTable

    progress = TerminalProgress()
    try:
        datasets = open_datasets(args.datasets, split=args.split, cache=args.cache, progress=progress)
        progress.close()
        chosen = choose_systems(args, progress, len(datasets))
        experiment = Experiment(chosen.systems, datasets, options)
        names = [system.name for system in experiment.systems]
        table = EvaluationTable([dataset.name for dataset in datasets], names, options.measures)
        printer = Printer(args, options.measures, table, groups=chosen.groups)
        for dataset in datasets:
            summary = dataset.summary()
            printer.begin(dataset, summary)
            for result, found in experiment.on(dataset, summary, made_by):
                progress.close()
                printer.add(result, found)
        printer.finish()
    finally:
        progress.close()


def _name_and_split(qrels: Path) -> tuple[str, str]:
    """Name the dataset that qrels belong to: by their folder in BEIR's layout, else by their file."""
    path = qrels.resolve()
    if path.parent.name == "qrels":
        return path.parent.parent.name, path.name.split(".")[0]
    return qrels.name, "-"


def _command(args: argparse.Namespace) -> str:
    words = ["lsr", "eval", *args.datasets]
    for name, value in sorted(vars(args).items()):
        if name in ("datasets", "command", "run", OPTION_NAMES) or value in (None, False, []):
            continue
        values = value if isinstance(value, list) else [] if value is True else [value]
        option = "run" if name == "run_files" else name.replace("_", "-")
        words += ["-" * min(2, len(option)) + option, *map(str, values)]
    return shlex.join(words)
