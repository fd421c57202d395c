"""`lsr search --queries`: a file of queries to a run, or to JSON."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import TerminalProgress, note, note_compiling
from lsr.cli.searches.open_searcher import note_missing, open_searcher
from lsr.output.numbers import counted
from lsr.output.terminal import say

if TYPE_CHECKING:
    from lsr.query.options import SearchOptions
    from lsr.query.queries import Queries
    from lsr.query.searcher import Searcher
    from lsr.query.stages import Found
    from lsr.types import MissingShard

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
        # A run is written whole, and printed hits stay: where shards may be lost, all is found before it is printed.
        work = _write_run if args.run_file is not None else _print_all
        missing = searcher.tolerant(options, lambda tolerant: work(args, tolerant, query_ids, queries, progress))
        seconds = time.perf_counter() - began
    finally:
        progress.close()
    note_missing(missing)
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
) -> tuple[MissingShard, ...]:
    from lsr.eval.data.runs import Ranking, write_run

    def rankings() -> Any:
        for query_id, ranking in zip(query_ids, searcher.rank_here(queries), strict=True):
            progress.advance(1)
            yield Ranking(query_id, searcher.doc_ids(ranking), ranking.scores)

    kind = "" if searcher.options.approximate is None else "-approximate"
    write_run(args.run_file, rankings(), tag=args.tag or f"lsr{kind}{'-partial' if searcher.missing else ''}")
    _write_missing(args.run_file, searcher.missing)
    return searcher.missing


def _write_missing(run_file: Path, missing: tuple[MissingShard, ...]) -> None:
    """Write beside a run which shards it lacks; a run has no place for it. One of an earlier run is removed."""
    beside = run_file.with_name(f"{run_file.name}.missing.json")
    if not missing:
        beside.unlink(missing_ok=True)
        return
    from lsr.io.printable import json_line
    from lsr.io.text_files import written_whole
    from lsr.output.results import missing_object

    with written_whole(beside) as file:
        file.write(json_line(missing_object(missing, reasons=True)) + "\n")


def _print_all(
    _: argparse.Namespace, searcher: Searcher, query_ids: list[str], queries: Queries, progress: TerminalProgress
) -> tuple[MissingShard, ...]:
    options = searcher.options
    lines = (_lines(searcher, *pair) for pair in zip(query_ids, searcher.find_here(queries), strict=True))
    for some in list(lines) if options.partial else lines:
        progress.advance(1)
        say(*some)
    return searcher.missing


def _lines(searcher: Searcher, query_id: str, found: Found) -> list[str]:
    from lsr.io.printable import json_line

    options, lines = searcher.options, []
    if options.explain:
        from lsr.output.explained import explained_hit

        lines = [json_line(explained_hit(hit)) for hit in searcher.explained(found, query_id=query_id).hits]
    else:
        from lsr.output.hits import hit_json

        results = searcher.results_of(found, None, options, query_id=query_id)
        lines = [hit_json(hit, results.skipped, results.missing) for hit in results]
    if options.counts_matches or searcher.missing:
        from lsr.output.results import results_object

        about = results_object(
            query=None, query_id=query_id, total=found.total, facets=found.facets, missing=searcher.missing
        )
        lines.append(json_line(about))
    return lines
