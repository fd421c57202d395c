"""`lsr eval`: how good is it, what does it cost, and is the difference real?"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import TerminalProgress, note, positive
from lsr.cli.evaluation.eval_hybrid import OWN_DENSE, add_arguments, second_legs
from lsr.cli.evaluation.eval_printer import Printer
from lsr.models import DEFAULT, default_encoder

if TYPE_CHECKING:
    from lsr.eval.data.datasets import CorpusSummary, Dataset
    from lsr.eval.harness import Options
    from lsr.eval.reports.provenance import Provenance
    from lsr.eval.reports.report import Report
    from lsr.eval.systems.systems import System
    from lsr.query.fusion.fuser import Fuser


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
    what.add_argument(
        "--encoder",
        nargs="+",
        action="extend",
        metavar="E",
        help=f"one or more (default: $LSR_ENCODER, or {DEFAULT})",
    )
    what.add_argument("--fusion", action="append", metavar="METHOD",
                      help="also fuse the systems: min-max, tm2c2, z-score, rrf, dbsf, or learned")  # fmt: skip
    add_arguments(what)
    what.add_argument("--learn-on", default="dev", metavar="SPLIT", help="where 'learned' learns (default: dev)")
    what.add_argument("--feedback", nargs="?", type=positive, const=10, metavar="DOCS",
                      help="also measure each with feedback from its first DOCS documents (default: 10)")  # fmt: skip
    what.add_argument("--baseline", action="append", metavar="B",
                      help="also measure Lucene: lucene-bm25, or lucene-impact of the ready vectors")  # fmt: skip
    what.add_argument("--vectors", type=Path, metavar="FILE.parquet", help="ready document vectors of one dataset")
    what.add_argument("--queries", type=Path, metavar="FILE", help="ready query vectors that go with --vectors")
    what.add_argument("--run", dest="run_files", type=Path, nargs="+", action="extend", metavar="FILE",
                      help="TREC runs of any systems, instead of DATASET")  # fmt: skip
    what.add_argument("--qrels", type=Path, metavar="FILE", help="judgements for --run, TREC or BEIR format")
    rules = parser.add_argument_group("rules")
    rules.add_argument("--split", default="test", help="of the qrels (default: test)")
    rules.add_argument("--measures", nargs="+", metavar="M", help="such as nDCG@10; the first decides comparisons")
    rules.add_argument("-k", type=positive, default=100, metavar="K", help="results a query (default: 100)")
    rules.add_argument("--drop-identical-ids", action="store_true",
                       help="drop a hit whose doc_id is the query_id (ArguAna, Quora)")  # fmt: skip
    rules.add_argument("--threads", type=positive, default=1, metavar="N", help="for QPS and indexing (default: 1)")
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
    from lsr.eval.measures.measures import DEFAULT_MEASURES, parse_measure
    from lsr.eval.reports.provenance import provenance
    from lsr.eval.reports.report import Report

    if bool(args.run_files) == bool(args.datasets):
        raise UsageError("name what to measure: either DATASET… or --run FILE with --qrels FILE")
    if bool(args.run_files) != bool(args.qrels) or bool(args.vectors) != bool(args.queries):
        raise UsageError("--run and --qrels go together, as do --vectors and --queries")
    names = args.measures or DEFAULT_MEASURES
    measures = tuple(dict.fromkeys(parse_measure(name).name for name in names))
    options = Options(args.k, measures, args.drop_identical_ids, args.threads)
    report = Report(measures)
    made_by = provenance(_command(args))
    if args.run_files:
        _evaluate_runs(args, options, report, made_by)
    else:
        _evaluate_systems(args, options, report, made_by)
    return 0


def _evaluate_runs(args: argparse.Namespace, options: Options, report: Report, made_by: Provenance) -> None:
    from lsr.eval.data.qrels import read_qrels
    from lsr.eval.data.runs import read_run
    from lsr.eval.harness import evaluate_run
    from lsr.eval.reports.table import EvaluationTable

    qrels = read_qrels(args.qrels)
    names = _distinct(args.run_files)
    dataset = _name_and_split(args.qrels)
    table = EvaluationTable(dataset[:1], names, options.measures)
    printer = Printer(args, report, table)
    for name, path in zip(names, args.run_files, strict=True):
        printer.add(evaluate_run(name, read_run(path), qrels, dataset, options, made_by))
    printer.finish()


def _evaluate_systems(args: argparse.Namespace, options: Options, report: Report, made_by: Provenance) -> None:
    from lsr.eval.data.runs import run_of
    from lsr.eval.harness import evaluate_rankings, evaluate_system
    from lsr.eval.reports.table import EvaluationTable
    from lsr.eval.systems.baselines import run_baseline
    from lsr.eval.systems.fusion import fuse
    from lsr.eval.systems.hybrid import losses
    from lsr.eval.systems.learned_fusion import learn_fuser

    progress = TerminalProgress()
    try:
        datasets = _datasets(args, progress)
        systems = _systems(args, progress, len(datasets))
        hybrids = second_legs(args, systems, progress)
        methods = () if hybrids else args.fusion or ()
        fusions = {method: f"{method}({', '.join(system.name for system in systems)})" for method in methods}
        baselines = args.baseline or []
        of_hybrids = [name for legs_of in hybrids.values() for hybrid in legs_of for name in hybrid.names()]
        names = [*(system.name for system in systems), *of_hybrids, *fusions.values(), *baselines]
        printer = Printer(args, report, EvaluationTable([d.name for d in datasets], names, options.measures))
        for dataset in datasets:
            summary = dataset.summary()
            _note_oddities(dataset, summary, drops=options.drop_identical_ids)
            k = options.k + options.drop_identical_ids
            runs, legs = [], []
            for system in systems:
                result, found = evaluate_system(system, dataset, summary, options, made_by)
                progress.close()
                printer.add(result, found)
                runs.append(found)
                legs.append(result.encoder)
                for hybrid in hybrids.get(system.name, ()):
                    some = [result]
                    for of_hybrid, hybrid_run in hybrid.evaluate(result, dataset, summary, options, made_by):
                        progress.close()
                        printer.add(of_hybrid, hybrid_run)
                        if "feedback" not in (of_hybrid.encoder or {}):  # which is no fusion that is to beat its legs
                            some.append(of_hybrid)
                    for loss in losses(some, options.measures[0]):
                        note(f"warning: {loss}")
            for method, name in fusions.items():
                about: dict[str, Any] = {"kind": "fusion", "method": method, "legs": legs}
                fuser: str | Fuser = method
                if method == "learned":
                    learned = learn_fuser(systems, dataset, split=args.learn_on, k=k, threads=options.threads)
                    fuser, weights = learned.fuser, learned.fuser.weights or ()
                    about |= {"weights": weights, "learned_on": args.learn_on}
                    note(f"{dataset.name}: weights learned on {args.learn_on} are "
                         f"{', '.join(f'{weight:.3f}' for weight in weights)}")  # fmt: skip
                fused = run_of(fuse(runs, fuser, k=k, minima=[0.0] * len(runs)))  # sparse weights are positive
                printer.add(evaluate_rankings(name, fused, about, dataset, summary, options, made_by), fused)
            for name in baselines:
                found, lucene = run_baseline(name, dataset, k=k, vectors=args.vectors, queries=args.queries)
                printer.add(evaluate_rankings(name, found, lucene, dataset, summary, options, made_by), found)
        printer.finish()
    finally:
        progress.close()


def _datasets(args: argparse.Namespace, progress: TerminalProgress) -> list[Dataset]:
    from lsr.errors import LsrError
    from lsr.eval.data.datasets import dataset_folders, load_dataset
    from lsr.eval.data.download import dataset_cache, fetch_dataset

    cache = args.cache / "datasets" if args.cache else dataset_cache()
    datasets = []
    for text in args.datasets:
        path = Path(text)
        if not path.exists():
            progress.start(f"downloading {text}", None, "B")
            path = fetch_dataset(text, cache, progress=_advancing(progress))
            progress.close()
        datasets += [load_dataset(folder, split=args.split, name=name) for name, folder in dataset_folders(path)]
    names = [dataset.name for dataset in datasets]
    if len(set(names)) < len(names):
        raise LsrError(f"two datasets have the same name, among {', '.join(names)}: name each once, or rename a folder")
    return datasets


def _advancing(progress: TerminalProgress) -> Any:
    shown = 0

    def advance(have: int, _whole: int | None) -> None:
        nonlocal shown
        progress.advance(have - shown)
        shown = have

    return advance


def _systems(args: argparse.Namespace, progress: TerminalProgress, n_datasets: int) -> list[System]:
    from lsr.errors import UsageError
    from lsr.eval.harness import cache_folder
    from lsr.eval.systems.systems import EncoderSystem, VectorsSystem

    cache = args.cache / "eval" if args.cache else cache_folder()
    encoders = list(dict.fromkeys(args.encoder or ([] if args.vectors else [default_encoder()])))
    jointly = args.hybrid and args.dense in OWN_DENSE
    systems: list[System] = [
        EncoderSystem(encoder, cache=cache, name=name, threads=args.threads, jointly=jointly, progress=progress)
        for encoder, name in zip(encoders, _distinct([Path(e) for e in encoders]), strict=True)
    ]
    if args.vectors:
        if n_datasets != 1:
            raise UsageError(f"--vectors hold one dataset's documents, but {n_datasets} datasets are named")
        options = {"cache": cache, "threads": args.threads, "progress": progress}
        systems.append(VectorsSystem(args.vectors, args.queries, **options))
    if args.feedback is not None:
        from lsr.eval.systems.systems import FeedbackSystem
        from lsr.query.feedback import Feedback

        feedback = Feedback(n_docs=args.feedback)
        systems = [one for system in systems for one in (system, FeedbackSystem(system, feedback))]
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise UsageError(f"two systems have the same name, among {', '.join(names)}: rename a folder")
    if args.fusion and len(systems) < 2 and not (args.hybrid or args.rerank):
        raise UsageError("--fusion needs two systems or more: name more than one encoder")
    return systems


def _note_oddities(dataset: Dataset, summary: CorpusSummary, *, drops: bool) -> None:
    if summary.n_unknown_judged:
        note(f"{dataset.name}: {summary.n_unknown_judged} judged documents are not in the corpus: none can find them")
    if summary.n_without_text:
        note(f"{dataset.name}: {summary.n_without_text} of {summary.n_docs} documents have no text, only a title")
    if not drops and dataset.name in ("arguana", "quora"):
        note(f"{dataset.name} holds its queries as documents; published figures drop them: --drop-identical-ids")


def _name_and_split(qrels: Path) -> tuple[str, str]:
    """Name the dataset that qrels belong to: by their folder in BEIR's layout, else by their file."""
    path = qrels.resolve()
    if path.parent.name == "qrels":
        return path.parent.parent.name, path.name.split(".")[0]
    return qrels.name, "-"


def _distinct(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of paths, with as many of the parts before as tell them apart."""
    names = [path.name or str(path) for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _command(args: argparse.Namespace) -> str:
    words = ["lsr", "eval", *args.datasets]
    for name, value in sorted(vars(args).items()):
        if name in ("datasets", "command", "run") or value in (None, False, []):
            continue
        values = value if isinstance(value, list) else [] if value is True else [value]
        option = "run" if name == "run_files" else name.replace("_", "-")
        words += ["-" * min(2, len(option)) + option, *map(str, values)]
    return shlex.join(words)
