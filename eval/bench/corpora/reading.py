"""Speed of reading files: `python -m lsr.eval.bench.corpora.reading PATH … [--docs N] [--rounds N]`."""

from __future__ import annotations

import argparse
import sys
import time
from itertools import islice
from pathlib import Path
from statistics import median

from lsr.indexer.corpus.reader import read_corpus


def seconds_to_read(paths: list[Path], *, docs: int | None = None) -> tuple[float, int]:
    """Return the seconds of reading files, or their first documents, and the number of documents."""
    began = time.perf_counter()
    count = sum(1 for _ in islice(read_corpus(paths), docs))
    return time.perf_counter() - began, count


def main() -> int:
    """Print the median of some rounds, after one that fills the caches."""
    parser = argparse.ArgumentParser(prog="python -m lsr.eval.bench.corpora.reading", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="folders and files")
    parser.add_argument("--docs", type=int, metavar="N", help="read the first N documents (default: all)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds that are timed (default: 3)")
    args = parser.parse_args()
    seconds_to_read(args.paths, docs=args.docs)
    found = [seconds_to_read(args.paths, docs=args.docs) for _ in range(args.rounds)]
    middle, count = median(seconds for seconds, _ in found), found[0][1]
    sys.stdout.write(
        f"{count:,} documents in {middle:.2f} s, {count / middle:,.0f} a second (median of {args.rounds})" + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
