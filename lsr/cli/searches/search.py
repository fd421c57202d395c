"""`lsr search`: one query to read, or a file of them to a run."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import add_command, add_index_argument, note, positive
from lsr.cli.searches.hybrid_options import add_hybrid_arguments, hybrid_of, note_nothing
from lsr.cli.searches.search_options import allowed_of, feedback_of, open_searcher, passed_over
from lsr.output.numbers import counted

if TYPE_CHECKING:
    from lsr.query.engine.engine import Ranking
    from lsr.query.hybrid.settings import Hybrid
    from lsr.query.searcher import Searcher

FEEDBACK_DOCS = 10
EXAMPLES = """\
examples:
  lsr search "vitamin D deficiency"                the best 10, to read
  lsr search "vitamin D deficiency" -k 50 --json   the best 50, an object a line
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
    parser.add_argument("query", nargs="?", metavar="QUERY", help="what to search for")
    add_index_argument(parser)
    parser.add_argument(
        "--encoder", metavar="E", help="where the index's model is now, if it isn't where it was; another is refused"
    )
    parser.add_argument("-k", type=int, default=10, metavar="K", help="results wanted (default: 10)")
    parser.add_argument("--json", action="store_true", help="print a JSON object a hit")
    parser.add_argument(
        "--filter", metavar="F", dest="filter_text",
        help="find only documents whose fields fit, as \"year >= 2020 and lang == 'en'\"; docs/FILTERS.md says more",
    )  # fmt: skip
    parser.add_argument("--explain", action="store_true", help="say of each hit what each term brought to its score")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the explained hits to FILE, a page of its own")
    parser.add_argument(
        "--feedback", nargs="?", type=positive, const=FEEDBACK_DOCS, metavar="DOCS",
        help="add to the query what its first DOCS documents say, and search again (default: 10)",
    )  # fmt: skip
    parser.add_argument(
        "--approximate", metavar="NAME=VALUE,…",
        help="search faster, and perhaps miss documents: alpha=0.8 relaxes the bounds, superblocks=50 ends the search "
        "after so many groups of 64 documents, query_cut=8 bounds by the 8 heaviest of the frequent terms",
    )  # fmt: skip
    add_hybrid_arguments(parser)
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
        help="the lines of FILE hold tokens, not text (taken for granted where the index was made from ready vectors)",
    )
    many.add_argument(
        "--run", dest="run_file", type=Path, metavar="OUT",
        help="write the results as a TREC run; without it they are printed as JSON, an object a hit",
    )  # fmt: skip
    many.add_argument("--tag", help="the run's tag (default: lsr, or lsr-approximate)")
    many.add_argument("--threads", type=positive, metavar="N", help="threads (default: one a core)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Search and print."""
    from lsr.errors import UsageError

    if (args.query is None) == (args.queries is None):
        raise UsageError('give one QUERY, or --queries FILE; a QUERY of several words stands in quotes: "two words"')
    if args.queries is None and (args.run_file is not None or args.encoded):
        raise UsageError(f"{'--run' if args.run_file is not None else '--encoded'} goes with --queries FILE")
    if args.run_file is not None and args.explain:
        raise UsageError("--explain has no place in a run: leave out --run, and the hits are printed as JSON")
    if args.queries is not None and args.html is not None:
        raise UsageError("--html shows one QUERY: leave out --queries")
    if args.k < 1:
        raise UsageError(f"-k is {args.k}; it must be at least 1")
    if args.queries is None:
        return _search_one(args)
    from lsr.cli.searches.search_file import search_file

    return search_file(args)


def _search_one(args: argparse.Namespace) -> int:
    from lsr.errors import UsageError

    if not args.query.strip():
        raise UsageError("the query is empty; give at least one word")
    hybrid = hybrid_of(args)
    searcher = open_searcher(args)
    allowed = allowed_of(args, searcher)
    if args.explain or args.html is not None:
        return _explain_one(args, searcher, allowed, hybrid)
    began = time.perf_counter()
    ranking = _rank_one(args, searcher, allowed, hybrid)
    hits = searcher.hits(ranking)
    milliseconds = (time.perf_counter() - began) * 1000
    if args.json:
        from lsr.output.hits import hit_json

        for hit in hits:
            print(hit_json(hit, passed_over(ranking)))
        return 0
    if not hits:
        note_nothing(_searched(searcher, allowed), hybrid)
        return 0
    from lsr.output.hits import print_hits
    from lsr.output.terminal import DIM, style
    from lsr.query.explain.snippet import QueryWords

    print_hits(hits, QueryWords(args.query, searcher.index.manifest.encoder))
    sys.stdout.flush()
    unit = "document" if searcher.index.manifest.passages is None else "passage"
    n_searched = len(searcher.index) if allowed is None else allowed.n_allowed
    told = f"the best {len(hits):,} of {counted(n_searched, unit)}, in {milliseconds:.0f} ms"
    print(style(told, DIM, sys.stderr), file=sys.stderr)
    if ranking.approximate is not None:
        skipped = f"{counted(ranking.n_skipped, 'superblock')} of 64 documents passed over, {ranking.n_scored:,} scored"
        note(f"approximate ({ranking.approximate}): {skipped}; better documents may be missing")
    return 0


def _rank_one(args: argparse.Namespace, searcher: Searcher, allowed: Any, hybrid: Hybrid | None) -> Ranking:
    options = {"once": True, "allowed": allowed, "feedback": feedback_of(args)}
    if hybrid is None:
        return searcher.rank_vector(searcher.encode([args.query]).row(0), args.k, **options)
    from lsr.query.hybrid.search import encode_queries, rank_hybrid

    row = encode_queries(searcher, [args.query], hybrid).row(0)
    return rank_hybrid(searcher, row, args.k, hybrid, **options).ranking


def _searched(searcher: Searcher, allowed: Any) -> int:
    return len(searcher.index) if allowed is None else int(allowed.n_allowed)


def _explain_one(args: argparse.Namespace, searcher: Searcher, allowed: Any, hybrid: Hybrid | None) -> int:
    from lsr.output.explained import explained_lines, print_explained

    options = {"once": True, "allowed": allowed, "feedback": feedback_of(args), "hybrid": hybrid}
    explained = searcher.explain(args.query, args.k, **options)
    if args.html is not None:
        from lsr.io.text_files import written_whole
        from lsr.server.pages.search import search_page

        with written_whole(args.html) as file:
            file.write(search_page(explained))
        note(f"{counted(len(explained.hits), 'hit')} explained in {args.html}")
        if not args.explain:
            return 0
    if args.json:
        for line in explained_lines(explained):
            print(line)
        return 0
    if not explained.hits:
        note_nothing(_searched(searcher, allowed), hybrid)
    print_explained(explained, searcher.term_finder)
    return 0
