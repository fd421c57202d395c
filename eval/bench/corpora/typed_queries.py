"""Time of queries with operators, beside the same words without: `python -m lsr.eval.bench.corpora.typed_queries`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

from lsr.encoders.registry import load_encoder
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.pipeline import index_documents
from lsr.query.searcher import Searcher

QUERIES = (
    '"new york city"',
    '"world war"',
    "+album guitar",
    "+city museum",
    "museum -city",
    "war -world -city",
    "+the war",
)
"""Phrases and words of encyclopedias, from rare to frequent."""


class Timed(NamedTuple):
    """Milliseconds of a query: the first time, again while its condition is cached, and of its words alone.

    total: the number of documents that meet it.
    """

    query: str
    first_ms: float
    again_ms: float
    plain_ms: float
    total: int


def time_queries(index: Path, queries: Sequence[str], *, rounds: int) -> Iterator[Timed]:
    """Yield the times of queries, the median of some rounds, each with a new searcher."""
    for query in queries:
        words = query.translate(str.maketrans("", "", '"+-'))
        times = [_one_round(Searcher(index), query, words) for _ in range(rounds + 1)][1:]
        first, again, plain = (median(column) for column in zip(*times, strict=True))
        yield Timed(query, first, again, plain, Searcher(index).search(query, total=True).total or 0)


def _one_round(searcher: Searcher, query: str, words: str) -> tuple[float, float, float]:
    _milliseconds(searcher, words, plain=True)  # loads and verifies what both read
    plain = _milliseconds(searcher, words, plain=True)
    return _milliseconds(searcher, query, plain=False), _milliseconds(searcher, query, plain=False), plain


def _milliseconds(searcher: Searcher, query: str, *, plain: bool) -> float:
    began = time.perf_counter()
    searcher.search(query, plain=plain)
    return (time.perf_counter() - began) * 1e3


def main(arguments: Sequence[str] | None = None) -> int:
    """Index documents if the index isn't there, and print a row a query."""
    parser = argparse.ArgumentParser(prog="python -m lsr.eval.bench.corpora.typed_queries", description=__doc__)
    parser.add_argument("corpus", type=Path, metavar="FILE", help="documents to index with BM25")
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="the index, made where it isn't there")
    parser.add_argument("--docs", type=int, default=100_000, metavar="N", help="number of documents (default: 100,000)")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="rounds that are timed (default: 10)")
    parser.add_argument(
        "--queries", nargs="+", default=QUERIES, metavar="Q", help="queries (default: some on Wikipedia)"
    )
    args = parser.parse_args(arguments)
    if not args.index.exists():
        index_documents(islice(read_corpus([args.corpus]), args.docs), args.index, load_encoder("bm25"))
    sys.stdout.write(f"{'query':<20} {'first ms':>9} {'again ms':>9} {'plain ms':>9} {'matches':>8}" + "\n")
    for row in time_queries(args.index, args.queries, rounds=args.rounds):
        sys.stdout.write(
            f"{row.query:<20} {row.first_ms:>9.1f} {row.again_ms:>9.1f} {row.plain_ms:>9.1f} {row.total:>8,}" + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
