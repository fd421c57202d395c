"""`lsr search --queries`: a file of queries to a run, or to JSON."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from lsr.cli.common import TerminalProgress, note, note_compiling
from lsr.cli.searches.open_searcher import open_searcher
from lsr.output.numbers import counted
from lsr.output.terminal import say

if TYPE_CHECKING:
    from lsr.query.options import SearchOptions
    from lsr.query.queries import Queries
    from lsr.query.searcher import Searcher

ENCODED_AT_ONCE = 64


def search_file(args: argparse.Namespace, options: SearchOptions) -> int:
    """Search for every query of --queries."""
    searcher = open_searcher(args, options)
    note_compiling("search_segments")
    progress = TerminalProgress()
    try:
        query_ids, queries = _read_queries(args, searcher, progress)
        progress.start("searching", len(query_ids), "query")
        began = time.perf_counter()
        if args.run_file is not None:
            _write_run(args, searcher, query_ids, queries, progress)
        else:
            _print_all(searcher, query_ids, queries, progress)
        seconds = time.perf_counter() - began
    finally:
        progress.close()
    note(f"{counted(len(query_ids), 'query')} in {seconds:.2f} s ({len(query_ids) / seconds:,.0f} a second)")
    return 0


def _read_queries(
    args: argparse.Namespace, searcher: Searcher, progress: TerminalProgress
) -> tuple[list[str], Queries]:
    from lsr.errors import UsageError
    from lsr.query.encoded_queries import is_parquet, read_encoded_queries
    from lsr.query.queries import Queries
    from lsr.query.stages import encode_typed, method_of
    from lsr.types import SparseBatch

    options = searcher.options
    if args.encoded or is_parquet(args.queries) or searcher.index.manifest.encoder["kind"] == "vectors":
        if options.hybrid_search is not None:
            raise UsageError(f"--hybrid needs the texts of the queries, but {args.queries} holds encoded ones")
        query_ids, queries, unknown = read_encoded_queries(args.queries, searcher.index)
        if unknown:
            note(f"{counted(unknown, 'term')} of the queries not in the index: nothing is found by them")
        return query_ids, Queries(queries)
    from lsr.eval.data.query_files import read_queries

    texts = read_queries(args.queries)
    query_ids = list(texts)
    progress.start("encoding", len(texts), "query")
    if options.plain is False:
        return query_ids, encode_typed(searcher, list(texts.values()), options)
    if options.hybrid_search is not None:
        return query_ids, method_of(options).encode(searcher, list(texts.values()))
    batches = []
    for first in range(0, len(query_ids), ENCODED_AT_ONCE):
        some = query_ids[first : first + ENCODED_AT_ONCE]
        batches.append(searcher.encode([texts[query_id] for query_id in some]))
        progress.advance(len(some))
    return query_ids, Queries(SparseBatch.concatenate(batches))


def _write_run(
    args: argparse.Namespace, searcher: Searcher, query_ids: list[str], queries: Queries, progress: TerminalProgress
) -> None:
    from lsr.eval.data.runs import Ranking, write_run

    def rankings() -> Any:
        for query_id, ranking in zip(query_ids, searcher.rank(queries), strict=True):
            progress.advance(1)
            yield Ranking(query_id, searcher.doc_ids(ranking), ranking.scores)

    tag = args.tag or ("lsr" if searcher.options.approximate is None else "lsr-approximate")
    write_run(args.run_file, rankings(), tag=tag)


def _print_all(searcher: Searcher, query_ids: list[str], queries: Queries, progress: TerminalProgress) -> None:
    options = searcher.options
    for query_id, found in zip(query_ids, searcher.find(queries), strict=True):
        progress.advance(1)
        if options.explain:
            _print_explained(searcher, query_id, found)
        else:
            from lsr.output.hits import hit_json

            results = searcher.results_of(found, None, options, query_id=query_id)
            for hit in results:
                say(hit_json(hit, results.skipped))
        if options.counts_matches:
            from lsr.io.printable import json_line
            from lsr.output.results import results_object

            say(json_line(results_object(query=None, query_id=query_id, total=found.total, facets=found.facets)))


def _print_explained(searcher: Searcher, query_id: str, found: Any) -> None:
    from lsr.io.printable import json_line
    from lsr.output.explained import explained_hit

    for hit in searcher.explained(found, query_id=query_id).hits:
        say(json_line(explained_hit(hit)))
