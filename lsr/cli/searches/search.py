"""`lsr search`: one query to read, or a file of them to a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import add_command, add_index_argument, aside, note
from lsr.cli.searches.open_searcher import (
    add_dense_argument,
    n_searched,
    note_missing,
    note_nothing,
    note_stale,
    open_searcher,
)
from lsr.cli.searches.option_arguments import add_search_options, options_from
from lsr.output.numbers import counted
from lsr.output.terminal import say, say_styled

if TYPE_CHECKING:
    from lsr.query.options import SearchOptions
    from lsr.query.searcher import Searcher
    from lsr.types import Results

EXAMPLES = """\
examples:
  lsr search "vitamin D deficiency"                the best 10, to read
  lsr search "vitamin D deficiency" -k 50 --json   the best 50, an object a line
  lsr search "vitamin D" --where "year >= 2020"    only documents that fit
  lsr search "vitamin D" --facets year --total     … counted by a field
  lsr search "vitamin D deficiency" --files        where they stand: PATH:LINE
  lsr search "vitamin D deficiency" --explain      … and why they were found
  lsr search "vitamin D deficiency" --html d.html  the same as a page
  lsr search "vitamin D deficiency" --hybrid       dense vectors help
  lsr search "vitamin D" --rerank cross-encoder:M  a model reads the candidates
  lsr search --queries queries.jsonl --run r.trec  a file of queries to a run
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "search",
        "search an index",
        "Search an index: exactly unless --approximate is given, and without torch where\n"
        "the query encoder needs none.",
        EXAMPLES,
    )
    parser.add_argument("query", nargs="?", metavar="QUERY", help="text to search for")
    add_index_argument(parser)
    parser.add_argument(
        "--encoder", metavar="E", help="where the index's model is now, if it isn't where it was; another is refused"
    )
    add_dense_argument(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object a hit")
    parser.add_argument(
        "--files", action="store_true", help="print only where the hits stand, a line each: notes/plan.md:120"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the explained hits to FILE, a separate page")
    add_search_options(parser)
    many = parser.add_argument_group("a file of queries")
    many.add_argument(
        "--queries",
        type=Path,
        metavar="FILE",
        help="BEIR queries.jsonl, or lines of 'query_id TAB text'; encoded ones as Parquet (id, terms or term_ids, "
        "weights) or lines of 'query_id TAB token token …'; .gz of the lines",
    )
    many.add_argument(
        "--encoded",
        action="store_true",
        help="the lines of FILE hold tokens, not text (assumed where the index was made from ready vectors)",
    )
    many.add_argument(
        "--run", dest="run_file", type=Path, metavar="OUT",
        help="write the results as a TREC run; without it they are printed as JSON, an object a hit",
    )  # fmt: skip
    many.add_argument("--tag", help="the run's tag (default: lsr, or lsr-approximate)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Search and print."""
    from lsr.errors import UsageError

    if (args.query is None) == (args.queries is None):
        raise UsageError('give one QUERY, or --queries FILE; a QUERY of several words stands in quotes: "two words"')
    if args.queries is None and (args.run_file is not None or args.encoded):
        raise UsageError(f"{'--run' if args.run_file is not None else '--encoded'} goes with --queries FILE")
    options = options_from(args)
    if args.run_file is not None and options.explain:
        raise UsageError("--explain has no place in a run: leave out --run, and the hits are printed as JSON")
    if args.run_file is not None and options.counts_matches:
        raise UsageError("--total and --facets have no place in a run: leave out --run, and they are printed as JSON")
    if args.queries is not None and args.html is not None:
        raise UsageError("--html shows one QUERY: leave out --queries")
    if args.files and (args.queries is not None or args.json or args.html is not None or options.explain):
        raise UsageError(
            "--files prints the places of one QUERY's hits alone: leave out --queries, --json, --html and --explain"
        )
    if args.queries is None:
        return _search_one(args, options)
    from lsr.cli.searches.search_file import search_file

    return search_file(args, options)


def _search_one(args: argparse.Namespace, options: SearchOptions) -> int:
    from lsr.errors import UsageError

    if not args.query.strip():
        raise UsageError("the query is empty; give at least one word")
    if args.locate is None:
        options = options.replace(locate=True)
    searcher = open_searcher(args, options, once=True)
    if options.explain or args.html is not None:
        return _explain_one(args, searcher)
    results = searcher.search(args.query)
    note_stale(args, results)
    note_missing(results.missing)
    if args.json:
        _print_json(results)
        return 0
    if args.files:
        from lsr.output.hits import place_of

        say(*dict.fromkeys(map(place_of, results)))
        return 0
    from lsr.output.results import counts_lines

    if results:
        from lsr.output.hits import print_hits
        from lsr.query.explain.snippet import QueryWords

        print_hits(results, QueryWords(args.query, searcher.index.manifest.encoder))
    say_styled(*counts_lines(results.total, results.facets))
    sys.stdout.flush()
    if not results:
        note_nothing(searcher, args.query)
        return 0
    from lsr.output.terminal import DIM, style

    unit = "document" if searcher.index.manifest.passages is None else "passage"
    searched = counted(n_searched(searcher), unit)
    summary = f"{_which(results, options)} of {searched}, in {results.took_us / 1000:.0f} ms"
    aside(style(summary, DIM, sys.stderr))
    if results.skipped is not None:
        shown = " ".join(f"{name}={value:g}" for name, value in results.skipped.items() if "superblocks_" not in name)
        scored = counted(int(results.skipped["superblocks_scored"]), "superblock")
        note(f"approximate ({shown}): {scored} scored, {results.skipped['superblocks_skipped']:,} skipped unscored")
    return 0


def _which(results: Results, options: SearchOptions) -> str:
    if options.offset:
        return f"places {results[0].rank:,} to {results[-1].rank:,}"
    return f"the {'best' if options.sort is None else 'first'} {len(results):,}"


def _print_json(results: Results) -> None:
    from lsr.io.printable import json_line
    from lsr.output.hits import hit_json

    for hit in results:
        say(hit_json(hit, results.skipped, results.missing))
    if results.total is not None or results.facets or results.missing:
        from lsr.output.results import results_object

        say(
            json_line(
                results_object(query=results.query, total=results.total, facets=results.facets, missing=results.missing)
            )
        )


def _explain_one(args: argparse.Namespace, searcher: Searcher) -> int:
    from lsr.output.explained import explained_lines, print_explained
    from lsr.output.results import counts_lines

    explained = searcher.explain(args.query)
    note_missing(explained.missing)
    note_stale(args, [found.hit for found in explained.hits])
    if args.html is not None:
        from lsr.io.text_files import written_whole
        from lsr.server.pages.search import search_page

        with written_whole(args.html) as file:
            file.write(search_page(explained, searcher))
        note(f"{counted(len(explained.hits), 'hit')} explained in {args.html}")
        if not searcher.options.explain:
            return 0
    if args.json:
        say(*explained_lines(explained))
        return 0
    if not explained.hits:
        note_nothing(searcher, args.query)
    print_explained(explained, searcher.term_finder)
    say_styled(*counts_lines(explained.total, explained.facets))
    return 0
