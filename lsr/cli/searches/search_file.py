"""`lsr search --queries`: a file of queries to a run, or to JSON."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from lsr.cli.common import TerminalProgress, note, note_compiling
from lsr.cli.searches.hybrid_options import hybrid_of
from lsr.cli.searches.search_options import allowed_of, feedback_of, open_searcher, passed_over
from lsr.output.numbers import counted

if TYPE_CHECKING:
    from lsr.query.hybrid.settings import Hybrid


def search_file(args: argparse.Namespace) -> int:
    """Search for every query of --queries."""
    searcher = open_searcher(args)
    note_compiling("search_segments")
    progress = TerminalProgress()
    try:
        hybrid = hybrid_of(args)
        query_ids, queries = _read_queries(args, searcher, progress, hybrid)
        progress.start("searching", len(query_ids), "query")
        began = time.perf_counter()
        if args.run_file is not None:
            _write_run(args, searcher, query_ids, queries, hybrid, progress)
        elif args.explain:
            _explain_all(args, searcher, query_ids, queries, hybrid, progress)
        else:
            _print_all(args, searcher, query_ids, queries, hybrid, progress)
        seconds = time.perf_counter() - began
    finally:
        progress.close()
    note(f"{counted(len(query_ids), 'query')} in {seconds:.2f} s ({len(query_ids) / seconds:,.0f} a second)")
    return 0


def _read_queries(
    args: argparse.Namespace, searcher: Any, progress: TerminalProgress, hybrid: Hybrid | None
) -> tuple[list[str], Any]:
    """Return query ids and vectors: a SparseBatch, or HybridQueries for a hybrid search."""
    from lsr.errors import UsageError
    from lsr.query.encoded_queries import is_parquet, read_encoded_queries

    if args.encoded or is_parquet(args.queries) or searcher.index.manifest.encoder["kind"] == "vectors":
        if hybrid is not None:
            raise UsageError(f"--hybrid needs the texts of the queries, but {args.queries} holds encoded ones")
        query_ids, queries, unknown = read_encoded_queries(args.queries, searcher.index)
        if unknown:
            note(f"{counted(unknown, 'term')} of the queries not in the index: nothing is found by them")
        return query_ids, queries
    from lsr.eval.data.datasets import read_queries
    from lsr.types import SparseBatch

    texts = read_queries(args.queries)
    query_ids = list(texts)
    progress.start("encoding", len(texts), "query")
    if hybrid is not None:
        from lsr.query.hybrid.search import encode_queries

        return query_ids, encode_queries(searcher, list(texts.values()), hybrid)
    batches = []
    step = 64
    for first in range(0, len(query_ids), step):
        some = query_ids[first : first + step]
        batches.append(searcher.encode([texts[query_id] for query_id in some]))
        progress.advance(len(some))
    return query_ids, SparseBatch.concatenate(batches)


def _rankings(args: argparse.Namespace, searcher: Any, queries: Any, hybrid: Hybrid | None) -> Any:
    options = {"threads": args.threads, "allowed": allowed_of(args, searcher), "feedback": feedback_of(args)}
    if hybrid is None:
        return searcher.rank(queries, args.k, **options)
    return searcher.rank_hybrid(queries, args.k, hybrid=hybrid, **options)


def _write_run(
    args: argparse.Namespace, searcher: Any, query_ids: list[str], queries: Any, hybrid: Hybrid | None, progress: Any
) -> None:
    from lsr.eval.data.runs import Ranking, write_run

    def rankings() -> Any:
        for query_id, ranking in zip(query_ids, _rankings(args, searcher, queries, hybrid), strict=True):
            progress.advance(1)
            yield Ranking(query_id, searcher.doc_ids(ranking), ranking.scores)

    write_run(args.run_file, rankings(), tag=args.tag or ("lsr" if args.approximate is None else "lsr-approximate"))


def _print_all(
    args: argparse.Namespace, searcher: Any, query_ids: list[str], queries: Any, hybrid: Hybrid | None, progress: Any
) -> None:
    from lsr.output.hits import hit_json

    for query_id, ranking in zip(query_ids, _rankings(args, searcher, queries, hybrid), strict=True):
        progress.advance(1)
        for hit in searcher.hits(ranking, query_id=query_id):
            print(hit_json(hit, passed_over(ranking)))


def _explain_all(
    args: argparse.Namespace, searcher: Any, query_ids: list[str], queries: Any, hybrid: Hybrid | None, progress: Any
) -> None:
    from lsr.output.explained import explained_hit
    from lsr.output.hits import json_line
    from lsr.query.explain.explain import explain_hits

    vectors = queries if hybrid is None else queries.sparse
    if (feedback := feedback_of(args)) is not None:
        from lsr.query.feedback import expand_all

        vectors = expand_all(searcher, vectors, feedback, allowed=allowed_of(args, searcher))
    rankings = _rankings(args, searcher, queries, hybrid)
    for row, (query_id, ranking) in enumerate(zip(query_ids, rankings, strict=True)):
        progress.advance(1)
        hits = searcher.hits(ranking, query_id=query_id)
        for found in explain_hits(searcher, None, vectors.row(row), ranking, hits).hits:
            print(json_line(explained_hit(found)))
