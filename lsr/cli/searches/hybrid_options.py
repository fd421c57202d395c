"""What `lsr search --hybrid` and its relatives mean, for the commands that take them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lsr.cli.common import note

if TYPE_CHECKING:
    from lsr.query.hybrid.settings import Hybrid

MODES, FUSERS = ("rerank", "union"), ("min-max", "tm2c2", "z-score", "rrf", "dbsf")
"""As lsr.query has them, which is not loaded to parse a command."""


def add_hybrid_arguments(parser: Any) -> None:
    """Declare the options of a hybrid search."""
    group = parser.add_argument_group("hybrid search")
    group.add_argument(
        "--hybrid",
        nargs="?",
        const=MODES[0],
        choices=MODES,
        help="fuse with the index's dense vectors: 'rerank' scores the candidates of the sparse search by them (the "
        "default), 'union' searches by them too",
    )
    group.add_argument(
        "--rerank", metavar="R", help="score the candidates by R, in place of dense vectors: late-interaction (by the "
        "token vectors of the index's dense model), late-interaction:MODEL or cross-encoder:MODEL, MODEL being a "
        "folder or a name on the hub",
    )  # fmt: skip
    group.add_argument("--fuser", choices=FUSERS, metavar="NAME", help=f"{', '.join(FUSERS)} (default: {FUSERS[0]})")
    group.add_argument(
        "--weights", nargs=2, type=float, metavar="W", help="of the sparse and the other leg (default: alike)"
    )
    group.add_argument("--candidates", type=int, metavar="N", help="of each leg, 10 to 1000 (default: 100); with "
                       "neighbours a union takes a quarter as many of the dense one")  # fmt: skip
    group.add_argument("--no-neighbours", action="store_true", help="fuse only: don't draw a document's score towards "
                       "those of candidates with near dense vectors")  # fmt: skip
    group.add_argument("--dense", metavar="E", help="where the index's dense model is now, if it isn't where it was")


def hybrid_of(args: argparse.Namespace) -> Hybrid | None:
    """Return how a search is to be hybrid, None if it isn't. Raises UsageError for values outside their range."""
    from lsr.errors import UsageError

    given = [name for name in ("fuser", "weights", "candidates", "dense") if getattr(args, name) is not None]
    given += ["no-neighbours"] if args.no_neighbours else []
    if args.hybrid is None and args.rerank is None:
        if given:
            raise UsageError(f"--{given[0]} goes with --hybrid or --rerank")
        return None
    from lsr.query.fusion.registry import make_fuser
    from lsr.query.hybrid.settings import Hybrid

    options: dict[str, Any] = {} if args.candidates is None else {"candidates": args.candidates}
    if args.rerank is not None:
        from lsr.query.hybrid.rerank.registry import make_reranker

        options["reranker"] = make_reranker(args.rerank)
    if args.no_neighbours:
        options["neighbours"] = None
    mode = args.hybrid or MODES[0]
    return Hybrid(mode=mode, fuser=make_fuser(args.fuser or FUSERS[0], weights=args.weights), **options)


def note_nothing(n_searched: int, hybrid: Hybrid | None) -> None:
    """Say that a search found nothing, and what would find more."""
    more = "; --hybrid union finds by dense vectors alone, too" if hybrid is not None and hybrid.mode != "union" else ""
    note(f"nothing found: no document holds a term of the query (searched {n_searched:,}){more}")
