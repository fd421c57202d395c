"""`lsr size-study`: quality while a collection grows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from lsr.cli.common import TerminalProgress, note, positive
from lsr.models import DEFAULT, default_encoder
from lsr.output.terminal import say

DEFAULT_SIZES = (0, 1_000, 10_000, 100_000)


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "size-study",
        help="measure quality while a collection grows with distractors",
        description="Add more and more distractors to a BEIR dataset, and measure nDCG@10 of sparse, dense and hybrid"
        " search at each size: a table, a plot, and a file of the numbers.",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="a BEIR folder")
    parser.add_argument("--distractors", type=Path, nargs="+", required=True, metavar="CORPUS",
                        help="text to add: anything 'lsr index' reads, such as Wikipedia passages")  # fmt: skip
    parser.add_argument("--sizes", type=int, nargs="+", default=list(DEFAULT_SIZES), metavar="N",
                        help=f"numbers of distractors (default: {' '.join(map(str, DEFAULT_SIZES))})")  # fmt: skip
    parser.add_argument("--encoder", metavar="E", help=f"the sparse encoder (default: $LSR_ENCODER, or {DEFAULT})")
    parser.add_argument("--dense", metavar="D", help="a dense model, such as all-MiniLM-L6-v2")
    parser.add_argument("--split", default="test", help="of the qrels (default: test)")
    parser.add_argument("--threads", type=positive, default=2, metavar="N", help="for indexing and search (default: 2)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write size-study.json and size-study.png there")
    parser.add_argument("--json", action="store_true", help="print one JSON object a point")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Grow, measure, print."""
    from lsr.encoders.registry import load_dense_encoder, load_encoder
    from lsr.eval.data.datasets import load_dataset
    from lsr.eval.reports.provenance import provenance
    from lsr.eval.size_study import grow, plot_study, study_table
    from lsr.indexer.corpus.reader import read_corpus
    from lsr.io.dataclass_json import to_json
    from lsr.io.text_files import written_whole

    dataset = load_dataset(args.dataset, split=args.split)
    encoder = load_encoder(args.encoder or default_encoder())
    dense = load_dense_encoder(args.dense) if args.dense else None
    progress = TerminalProgress()
    try:
        distractors = read_corpus(args.distractors)
        points = grow(dataset, distractors, args.sizes, encoder, dense=dense, threads=args.threads, progress=progress)
    finally:
        progress.close()
    for line in (json.dumps(to_json(point)) for point in points) if args.json else study_table(points):
        say(line)
    if args.output:
        names = {"sparse": str(encoder.description["name"]), "dense": args.dense or "", "hybrid": "min-max sum"}
        entry = {
            "dataset": dataset.name,
            "split": dataset.split,
            "encoder": dict(encoder.description),
            "dense": args.dense,
            "points": to_json(points),
            "provenance": to_json(provenance("lsr size-study")),
        }
        with written_whole(args.output / "size-study.json") as file:
            json.dump(entry, file, indent=1)
            file.write("\n")
        plot_study(points, args.output / "size-study.png", dataset=dataset.name, names=names)
        note(f"written: {args.output / 'size-study.json'} and .png")
    return 0
