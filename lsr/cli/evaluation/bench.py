"""`lsr bench`: the engine alone, or side by side with its peers."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import note, positive
from lsr.output.terminal import say

if TYPE_CHECKING:
    from lsr.eval.bench.collection import SparseCollection

DOCS, QUERIES = 300_000, 500
DESCRIPTION = """
Build, open and search a collection of sparse vectors; report latency, throughput, size, memory and recall.
Every ranking of ours is compared with exhaustive scoring of all documents; one that differs fails the run.
"""


def share(text: str) -> float:
    """Return a number above 0 and below 1. Raises ArgumentTypeError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r:.40}: it must be above 0 and below 1")
    return value


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "bench", help="time the engine, side by side with installed peers", description=DESCRIPTION
    )
    add = parser.add_argument
    add(
        "collection", type=Path, nargs="?", metavar="DIR",
        help="a folder with docs.npz and queries.npz (CSR: indptr, indices, data, shape); default: synthetic",
    )  # fmt: skip
    add(
        "--docs", type=positive, nargs="+", metavar="N",
        help=f"only the first N documents, or as many synthetic ones (default {DOCS}); several sizes are compared",
    )  # fmt: skip
    add("--queries", type=positive, metavar="N", help="only the first N queries")
    add("--query-terms", type=positive, metavar="N", help="keep only the N heaviest terms of a query")
    add("-k", type=positive, nargs="+", default=[10, 100, 1000], help="results wanted (default 10 100 1000)")
    add("--rounds", type=positive, default=3, metavar="R", help="timed rounds over all queries (default 3)")
    add(
        "--threads", type=positive, default=2, metavar="N",
        help="threads to build with, and to compare throughput with that of one (default 2)",
    )  # fmt: skip
    add(
        "--peers", nargs="*", metavar="NAME",
        help="time peers too: bmp, pisa, seismic, sindi, kannolo, lucene; without names, those that are installed",
    )  # fmt: skip
    add("--without-reordering", action="store_true", help="also time an index without reordering")
    add("--approximate", action="store_true", help="also time approximate search at several settings")
    add(
        "--prune", type=share, nargs="+", default=[], metavar="MASS",
        help="also time indexes whose documents are pruned to these shares of their mass",
    )  # fmt: skip
    add("--traversals", action="store_true", help="time every traversal, and compare the planner with the best")
    add("--steps", action="store_true", help="account for each step of a search: its time, and the bytes that it reads")
    add(
        "--grow", type=positive, metavar="COMMITS",
        help="instead: add the last documents in so many commits, and time searches before and after merging",
    )  # fmt: skip
    add("--batch", type=positive, default=1000, metavar="N", help="documents a commit, with --grow (default 1000)")
    add("--cache", type=Path, metavar="DIR", help="folder of built indexes (default: the user's cache)")
    add("--rebuild", action="store_true", help="rebuild all indexes")
    add("--json", type=Path, metavar="FILE", help="write all numbers")
    add(
        "--plot", type=Path, metavar="FILE.png",
        help="draw latency against recall or, for several sizes, against the number of documents",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the files."""
    # Peers' thread pools read these when they are loaded.
    for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    from lsr.eval.bench.collection import load_collection, make_collection
    from lsr.eval.bench.registry import choose_peers
    from lsr.eval.bench.report import BenchReport, write_report
    from lsr.eval.bench.run import BenchOptions, bench_collection
    from lsr.eval.bench.store import default_cache
    from lsr.eval.bench.table import lines
    from lsr.eval.bench.timing import PROTOCOL
    from lsr.eval.reports.provenance import provenance

    whole = load_collection(args.collection) if args.collection else None
    sizes = sorted(set(args.docs or [len(whole.documents) if whole else DOCS]))
    cache = args.cache or default_cache()
    command = f"lsr {shlex.join(sys.argv[1:])}"

    def collections() -> Iterator[SparseCollection]:
        for n_docs in sizes:
            collection = whole or make_collection(n_docs, args.queries or QUERIES)
            yield collection.take(docs=n_docs, queries=args.queries, query_terms=args.query_terms)

    if args.grow:
        return _grow(args, collections(), cache, command)
    peers, notes = choose_peers(args.peers) if args.peers is not None else ([], [])
    for message in notes:
        note(message)
    options = BenchOptions(
        ks=tuple(sorted(set(args.k))),
        rounds=args.rounds,
        threads=args.threads,
        peers=tuple(peers),
        without_reordering=args.without_reordering,
        traversals=args.traversals,
        steps=args.steps,
        approximate=args.approximate,
        rebuild=args.rebuild,
        prune=tuple(args.prune),
    )
    reports = [
        bench_collection(collection, options, cache=cache, source=args.collection) for collection in collections()
    ]
    report = BenchReport(PROTOCOL, args.rounds, tuple(notes), tuple(reports), provenance(command))
    for line in lines(report):
        say(line)
    if args.json:
        write_report(args.json, report)
    if args.plot:
        from lsr.eval.bench.figure import draw

        draw(report, args.plot)
    return 0


def _grow(args: argparse.Namespace, collections: Iterator[SparseCollection], cache: Path, command: str) -> int:
    """Measure growing, print the numbers, write the file."""
    from lsr.eval.bench.growth import GrowthOptions, bench_growth, growth_lines, write_growth
    from lsr.eval.reports.provenance import provenance

    ks = tuple(sorted(set(args.k)))
    options = GrowthOptions(args.grow, args.batch, ks, args.rounds, args.threads)
    reports = []
    for collection in collections:
        reports.append(bench_growth(collection, options, cache=cache, source=args.collection))
        for line in growth_lines(reports[-1]):
            say(line)
    if args.json:
        write_growth(args.json, reports, provenance(command))
    return 0
