"""`lsr search`: one query to read, or a file of them to a run."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lsr.cli.common import add_index_argument, index_path, note, positive
from lsr.types import Hit

BOLD, DIM, RESET = "\033[1m", "\033[2m", "\033[0m"


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "search",
        help="search an index",
        description="Search an index: exactly, and without torch where the query encoder needs none.",
    )
    parser.add_argument("query", nargs="?", help="what to search for")
    add_index_argument(parser)
    parser.add_argument("-k", type=int, default=10, metavar="K", help="results wanted (default: 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a hit")
    parser.add_argument(
        "--queries",
        type=Path,
        metavar="FILE",
        help="many queries: BEIR queries.jsonl, or 'query_id TAB text'; encoded ones as Parquet or "
        "'query_id TAB token token …'; .gz of these",
    )
    parser.add_argument(
        "--encoded",
        action="store_true",
        help="the lines of FILE hold tokens, not text (assumed if the index was made from ready vectors)",
    )
    parser.add_argument("--run", dest="run_file", type=Path, metavar="OUT", help="write the results as a TREC run")
    parser.add_argument("--tag", default="lsr", help="the run's tag (default: lsr)")
    parser.add_argument("--threads", type=positive, metavar="N", help="for a file of queries (default: all cores)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Search and print."""
    from lsr.errors import UsageError

    if (args.query is None) == (args.queries is None):
        raise UsageError("give one query, or --queries FILE")
    if args.run_file is not None and args.queries is None:
        raise UsageError("--run goes with --queries FILE")
    if args.k < 1:
        raise UsageError(f"-k is {args.k}; it must be at least 1")
    return _search_one(args) if args.queries is None else _search_file(args)


def _search_one(args: argparse.Namespace) -> int:
    from lsr.errors import UsageError
    from lsr.query.searcher import Searcher

    if not args.query.strip():
        raise UsageError("the query is empty")
    searcher = Searcher(index_path(args))
    began = time.perf_counter()
    hits = searcher.search(args.query, args.k, once=True)
    milliseconds = (time.perf_counter() - began) * 1000
    if args.json:
        for hit in hits:
            print(json.dumps(hit_object(hit), ensure_ascii=False))
        return 0
    if not hits:
        note("nothing found: no document holds a word of the query")
        return 0
    stem, wanted = matcher(searcher, args.query)
    print_hits(hits, stem, wanted)
    print(_style(f"{len(hits)} of {len(searcher.index):,} documents, {milliseconds:.0f} ms", DIM))
    return 0


def _search_file(args: argparse.Namespace) -> int:
    from lsr.query.encoded import is_parquet, read_encoded_queries
    from lsr.query.searcher import Searcher

    searcher = Searcher(index_path(args))
    encoded = args.encoded or is_parquet(args.queries) or searcher.index.manifest.encoder["kind"] == "vectors"
    if encoded:
        query_ids, queries, unknown = read_encoded_queries(args.queries, searcher.index)
        if unknown:
            note(f"{unknown:,} query terms do not stand in the index")
    else:
        from lsr.eval.datasets import read_queries

        texts = read_queries(args.queries)
        query_ids, queries = list(texts), searcher.index.query_encoder.encode_queries(list(texts.values()))
    began = time.perf_counter()
    if args.run_file is not None:
        from lsr.eval.runs import Ranking, write_run

        rankings = searcher.rank(queries, args.k, threads=args.threads)
        write_run(
            args.run_file,
            (Ranking(q, searcher.doc_ids(r), r.scores.tolist()) for q, r in zip(query_ids, rankings, strict=True)),
            tag=args.tag,
        )
    else:
        for hits in searcher.search_batch(queries, args.k, query_ids=query_ids, threads=args.threads):
            for hit in hits:
                print(json.dumps(hit_object(hit), ensure_ascii=False))
    seconds = time.perf_counter() - began
    note(f"{len(query_ids):,} queries in {seconds:.2f} s ({len(query_ids) / seconds:,.0f} a second)")
    return 0


def hit_object(hit: Hit) -> dict[str, Any]:
    """Return a hit as `--json` prints it."""
    shown: dict[str, Any] = {} if hit.query_id is None else {"query_id": hit.query_id}
    return shown | {"rank": hit.rank, "doc_id": hit.doc_id, "score": hit.score, "title": hit.title, "text": hit.text}


def matcher(searcher: Any, query: str) -> tuple[Callable[[str], str], frozenset[str]]:
    """Return how words are compared for marking, and the forms that the query's words have."""
    encoder = searcher.index.query_encoder
    stem: Callable[[str], str] = getattr(encoder, "word_form", str.casefold)
    return stem, frozenset(stem(word) for word in query.split()) | frozenset(
        stem(word.strip(".,;:!?\"'()[]")) for word in query.split()
    )


def _style(text: str, style: str) -> str:
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"{style}{text}{RESET}"


def print_hits(hits: Iterable[Hit], stem: Callable[[str], str], wanted: frozenset[str]) -> None:
    """Print rank, title, score and a snippet of each hit, matched words marked on a terminal."""
    from lsr.query.snippet import find_snippet

    columns = min(os.get_terminal_size().columns, 120) if sys.stdout.isatty() else 100
    for hit in hits:
        name = hit.title or hit.doc_id
        score = f"{hit.score:.3f}"
        room = columns - len(score) - 6
        shown = name if len(name) <= room else name[: room - 1] + "…"
        print(f"{hit.rank:>3}  {_style(shown, BOLD)}{' ' * max(1, room - len(shown))}{score}")
        if hit.title and hit.doc_id != hit.title:
            print(f"     {_style(hit.doc_id, DIM)}")
        snippet = find_snippet(hit.text, stem, wanted, width=2 * (columns - 6))
        marked = snippet.marked("\x0e", "\x0f")
        for line in textwrap.wrap(marked, columns - 5, break_long_words=False, break_on_hyphens=False):
            plain = line.replace("\x0e", BOLD).replace("\x0f", RESET)
            print("     " + (plain if _style("", BOLD) else line.replace("\x0e", "").replace("\x0f", "")))
        print()
