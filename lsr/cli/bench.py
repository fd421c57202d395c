"""`lsr bench`: the engine alone, or beside its peers."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from lsr.cli.common import note, positive

DOCS, QUERIES = 300_000, 500


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "bench",
        help="time the engine, side by side with installed peers",
        description="Build, open and search a collection of sparse vectors; tell latency, throughput, size, memory "
        "and recall. Every ranking of ours is held against plain scoring of all documents, and a wrong one fails.",
    )
    parser.add_argument(
        "collection", type=Path, nargs="?", metavar="DIR",
        help="a folder with docs.npz and queries.npz (CSR: indptr, indices, data, shape); without one, a collection is made up",
    )  # fmt: skip
    parser.add_argument(
        "--docs", type=positive, nargs="+", metavar="N",
        help=f"only the first N documents; for a collection made up, its size (default {DOCS}); several sizes are compared",
    )  # fmt: skip
    parser.add_argument("--queries", type=positive, metavar="N", help="only the first N queries")
    parser.add_argument("--query-terms", type=positive, metavar="N", help="keep only the N heaviest terms of a query")
    parser.add_argument("-k", type=positive, nargs="+", default=[10, 100, 1000], help="results wanted (default 10 100 1000)")
    parser.add_argument("--rounds", type=positive, default=3, metavar="R", help="timed rounds over all queries (default 3)")
    parser.add_argument("--threads", type=positive, default=2, metavar="N", help="threads to build with, and to compare throughput with 1 (default 2)")
    parser.add_argument(
        "--peers", nargs="*", metavar="NAME",
        help="time peers too: bmp, pisa, seismic, lucene; without names, those that are installed",
    )  # fmt: skip
    parser.add_argument("--without-reordering", action="store_true", help="time an index of ours without reordering too")
    parser.add_argument("--traversals", action="store_true", help="time every traversal of ours, and judge the planner")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where built indexes are kept (default: the user's cache)")
    parser.add_argument("--rebuild", action="store_true", help="build all indexes anew")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw latency against recall, or against the number of documents")
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
    from lsr.eval.provenance import provenance

    peers, notes = choose_peers(args.peers) if args.peers is not None else ([], [])
    for message in notes:
        note(message)
    options = BenchOptions(
        tuple(args.k), args.rounds, args.threads, tuple(peers), args.without_reordering, args.traversals, args.rebuild
    )
    cache = args.cache or default_cache()
    whole = load_collection(args.collection) if args.collection else None
    sizes = args.docs or [len(whole.documents) if whole else DOCS]
    reports = []
    for n_docs in sizes:
        collection = whole or make_collection(n_docs, args.queries or QUERIES)
        collection = collection.take(docs=n_docs, queries=args.queries, query_terms=args.query_terms)
        reports.append(bench_collection(collection, options, cache=cache, source=args.collection, say=note))
    command = f"lsr {shlex.join(sys.argv[1:])}"
    report = BenchReport(PROTOCOL, args.rounds, tuple(notes), tuple(reports), provenance(command))
    if args.json:
        write_report(args.json, report)
    if args.plot:
        from lsr.eval.bench.figure import draw

        draw(report, args.plot)
    print("\n".join(lines(report)))
    return 0
