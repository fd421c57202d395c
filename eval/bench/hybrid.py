"""Cost of the second leg of a hybrid search: `python -m lsr.eval.bench.hybrid`.

Reranking the candidates of a sparse search by their dense vectors, fusing two legs, and drawing candidates towards
their neighbours, on one thread, encoding left out. The vectors are random, mapped from the disk, and read before: what
is timed is gathering, multiplying and fusing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.registry import load_encoder
from lsr.indexer.pipeline import index_documents
from lsr.query.fusion.ranked_list import Leg
from lsr.query.fusion.registry import METHODS, make_fuser
from lsr.query.hybrid.dense_search import MANY_QUERIES
from lsr.query.hybrid.search import rank_hybrid
from lsr.query.hybrid.settings import Hybrid
from lsr.query.options import SearchOptions
from lsr.query.queries import Queries, Query
from lsr.query.searcher import Searcher
from lsr.types import Document

WARM_UP = 20
BATCHES = 5
RERANK_LIMIT_US, FUSION_LIMIT_US = 1000.0, 300.0
"""Limits of the second leg: 100 candidates at 384 dimensions reranked and fused; 1,000 and 1,000 hits fused."""


class _Random:
    """A dense encoder without a model: unit vectors at random."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.description: Mapping[str, Any] = {
            "kind": "dense", "name": "random", "revision": "1", "settings": {"normalise": True},
        }  # fmt: skip
        self._random = np.random.default_rng(0)

    def encode_dense_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        """Return one row a document."""
        return self._rows(len(documents))

    def encode_dense_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one row a text."""
        return self._rows(len(texts))

    def _rows(self, n: int) -> npt.NDArray[np.float32]:
        rows = self._random.normal(size=(n, self.dimension)).astype(np.float32)
        unit: npt.NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def time_reranking(
    folder: Path, *, n_docs: int, dimension: int, candidates: int, repetitions: int
) -> tuple[list[float], list[float], list[float]]:
    """Return the microseconds of each reranking, of each fusion after it, and of both with neighbours.

    folder: for an index, made there.
    """
    encoder = _Random(dimension)
    documents = (Document(str(i), f"word{i % 7} word{i % 11} word{i % 13}") for i in range(n_docs))
    index_documents(documents, folder / "index", load_encoder("bm25"), dense=encoder)
    searcher = Searcher(folder / "index")
    vectors = encoder.encode_dense_queries([""] * repetitions)
    term_ids, weights = searcher.encode(["word1 word2 word3"]).row(0)
    plain, drawn = Hybrid(candidates=candidates, neighbours=None), Hybrid(candidates=candidates)
    reranking, fusion, with_neighbours = [], [], []
    for vector in vectors:
        query = Query(term_ids, weights, dense=vector)
        found = rank_hybrid(searcher, query, 10, plain)
        reranking.append(found.other_s * 1e6)
        fusion.append(found.fusion_s * 1e6)
        found = rank_hybrid(searcher, query, 10, drawn)
        with_neighbours.append((found.other_s + found.fusion_s) * 1e6)
    return reranking[WARM_UP:], fusion[WARM_UP:], with_neighbours[WARM_UP:]


def time_batch(folder: Path, *, n_docs: int, dimension: int, n_queries: int) -> tuple[list[float], list[float]]:
    """Return the microseconds of processor time of a query of a union: alone, and its share of 64 together.

    folder: for an index, made there.
    """
    encoder = _Random(dimension)
    documents = (Document(str(i), f"word{i % 7} word{i % 11} word{i % 13}") for i in range(n_docs))
    index_documents(documents, folder / "index", load_encoder("bm25"), dense=encoder)
    searcher = Searcher(folder / "index")
    options = SearchOptions(k=10, hybrid="union", threads=1)
    texts = [f"word{i % 7} word{i % 11} word{i % 13}" for i in range(n_queries)]
    sparse, dense = searcher.encode(texts), encoder.encode_dense_queries(texts)

    def timed(step: int) -> list[float]:
        taken = []
        for first in range(0, n_queries, step):
            some = Queries(sparse.rows(first, first + step), dense[first : first + step])
            began = time.process_time()
            n_found = len(list(searcher.find(some, options)))
            taken.append((time.process_time() - began) * 1e6 / n_found)
        return taken

    timed(MANY_QUERIES)
    return timed(1), timed(MANY_QUERIES)


def time_fusion(method: str, *, n_hits: int, repetitions: int) -> list[float]:
    """Return the microseconds of fusing two legs of `n_hits`, a third of whose documents are in both."""
    rng = np.random.default_rng(1)
    fuser = make_fuser(method)
    legs = [Leg(rng.permutation(5 * n_hits // 3)[:n_hits], np.sort(rng.random(n_hits))[::-1], 0.0) for _ in range(2)]
    return _timed(lambda: fuser(legs, 10), repetitions)


def _timed(work: Callable[[], object], repetitions: int) -> list[float]:
    taken = []
    for _ in range(repetitions + WARM_UP):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1e6)
    return taken[WARM_UP:]


def _row(name: str, taken_us: Sequence[float], limit_us: float | None = None) -> str:
    middle, high, least = np.percentile(taken_us, [50, 90, 0])
    limit = "" if limit_us is None else f"   {'within' if middle <= limit_us else 'BEYOND'} {limit_us:,.0f} µs"
    return f"{name:<44} {middle:>8,.0f} {high:>8,.0f} {least:>8,.0f}{limit}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Time and print; return 1 where a median exceeds its limit."""
    parser = argparse.ArgumentParser(prog="python -m lsr.eval.bench.hybrid", description=__doc__.partition("\n")[0])
    parser.add_argument("--docs", type=int, default=20_000, metavar="N", help="documents (default: 20000)")
    parser.add_argument("--dimension", type=int, default=384, metavar="N", help="of dense vectors (default: 384)")
    parser.add_argument("--repetitions", type=int, default=300, metavar="N", help="of each timing (default: 300)")
    args = parser.parse_args(argv)
    sizes = {"n_docs": args.docs, "dimension": args.dimension, "repetitions": args.repetitions}
    medians = []
    _say(f"{'µs, one thread':<44} {'median':>8} {'90 %':>8} {'least':>8}")
    for candidates in (10, 100, 1000):
        with tempfile.TemporaryDirectory() as folder:
            reranking, fusion, with_neighbours = time_reranking(Path(folder), candidates=candidates, **sizes)
        both = [a + b for a, b in zip(reranking, fusion, strict=True)]
        limit = RERANK_LIMIT_US if candidates == 100 else None
        _say(_row(f"rerank {candidates:,} candidates", reranking))
        _say(_row(f"rerank and fuse {candidates:,} candidates", both, limit))
        _say(_row("the same, with neighbours", with_neighbours))
        if limit is not None:
            medians.append(float(np.median(both)) / limit)
    with tempfile.TemporaryDirectory() as folder:
        alone, together = time_batch(
            Path(folder), n_docs=args.docs, dimension=args.dimension, n_queries=BATCHES * MANY_QUERIES
        )
    _say(_row("union, a query at a time", alone))
    _say(_row(f"union, {MANY_QUERIES} queries at once, each", together))
    for method in METHODS:
        taken = time_fusion(method, n_hits=1000, repetitions=args.repetitions)
        _say(_row(f"fuse 1,000 + 1,000 hits, {method}", taken, FUSION_LIMIT_US))
        medians.append(float(np.median(taken)) / FUSION_LIMIT_US)
    return int(max(medians) > 1)


if __name__ == "__main__":
    raise SystemExit(main())
