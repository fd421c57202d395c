"""Size and latency of binary impacts beside graded ones: `python -m lsr.eval.bench.methods.binary VECTORS QUERIES`.

VECTORS is a Parquet file of documents' terms and weights. They are indexed as they are, and with each weight 1, as a
very wide space (UHD) has them; the queries' terms weigh 1 then, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsr.eval.systems.costs import index_costs
from lsr.indexer.pipeline import index_vectors
from lsr.indexer.storage.index import StoredIndex
from lsr.query.encoded_queries import read_encoded_queries
from lsr.query.options import SearchOptions
from lsr.query.queries import Queries
from lsr.query.searcher import Searcher
from lsr.types import SparseBatch

COLUMNS = ("impacts", "k", "bytes a document", "bytes a posting", "µs a query, mean", "median", "99th percentile")
GRADED, BINARY = "as they are", "each 1"


@dataclass(frozen=True, slots=True)
class Sides:
    """An index and the queries as they are searched in it."""

    name: str
    searcher: Searcher
    queries: SparseBatch


def binary_vectors(source: Path, target: Path, *, most: int | None = None) -> None:
    """Write the vectors of a file with each weight 1. most: number of documents (default: all)."""
    table = pq.read_table(source)
    table = table if most is None else table.slice(0, most)
    weights = table["weights"].combine_chunks()
    ones = pa.array(np.ones(len(weights.values), np.uint8))
    column = type(weights).from_arrays(weights.offsets, ones)
    pq.write_table(table.set_column(table.schema.get_field_index("weights"), "weights", column), target)


def make_sides(vectors: Path, queries: Path, work: Path, *, most: int | None = None) -> list[Sides]:
    """Index vectors graded and binary in `work`, and read the queries."""
    first = work / "graded.parquet"
    table = pq.read_table(vectors)
    pq.write_table(table if most is None else table.slice(0, most), first)
    binary_vectors(vectors, work / "binary.parquet", most=most)
    sides = []
    for name, file in ((GRADED, first), (BINARY, work / "binary.parquet")):
        path = work / file.stem
        index_vectors([file], path)
        index = StoredIndex.open(path)
        _, batch, _ = read_encoded_queries(queries, index)
        if name == BINARY:
            batch = replace(batch, weights=np.ones_like(batch.weights))
        sides.append(Sides(name, Searcher(index), batch))
    return sides


def rows(sides: Sequence[Sides], *, ks: Sequence[int], n_queries: int, rounds: int) -> list[tuple[str, ...]]:
    """Time each query alone on both sides in turn; return a row for each side and k.

    rounds: turns, of which a query's fastest counts.
    """
    found = []
    for k in ks:
        options = SearchOptions(k=k)
        best = [np.full(min(n_queries, len(side.queries)), np.inf) for side in sides]
        for _ in range(rounds):
            for side, times in zip(sides, best, strict=True):
                for i in range(len(times)):
                    one = Queries(side.queries.rows(i, i + 1), None, None)
                    began = time.perf_counter()
                    list(side.searcher.rank(one, options))
                    times[i] = min(times[i], time.perf_counter() - began)
        for side, times in zip(sides, best, strict=True):
            index, us = side.searcher.index, 1e6 * times
            costs = index_costs(
                index, side.queries, query_terms=0.0, threads=1, index_s=None, encode=None, search=None, qps=None
            )
            assert costs.index_size_bytes is not None
            sizes = [costs.index_size_bytes / n for n in (len(index), index.manifest.n_postings)]
            latencies = (float(np.mean(us)), float(np.median(us)), float(np.percentile(us, 99)))
            found.append((side.name, str(k), f"{sizes[0]:,.0f}", f"{sizes[1]:.2f}", *(f"{t:,.0f}" for t in latencies)))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="size and latency of binary impacts beside graded ones")
    parser.add_argument("vectors", type=Path, help="Parquet with the columns id, terms and weights")
    parser.add_argument("queries", type=Path, help="encoded queries, as lsr search --queries takes them")
    parser.add_argument("--documents", type=int, help="the first ones alone (default: all)")
    parser.add_argument("--n-queries", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3, help="turns, of which the best counts (default: 3)")
    parser.add_argument("-k", type=int, nargs="+", default=[10, 100])
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as work:
        sides = make_sides(args.vectors, args.queries, Path(work), most=args.documents)
        sys.stdout.write(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}\n")
        for row in rows(sides, ks=args.k, n_queries=args.n_queries, rounds=args.rounds):
            sys.stdout.write(f"| {' | '.join(row)} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
