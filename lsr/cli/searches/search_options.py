"""What the arguments of `lsr search` mean, for one query and for a file of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lsr.cli.common import index_path

if TYPE_CHECKING:
    from lsr.query.engine.approximate import Approximate
    from lsr.query.engine.engine import Ranking
    from lsr.query.feedback import Feedback


def open_searcher(args: argparse.Namespace) -> Any:
    """Open the index. Raises UsageError for an --encoder that it doesn't take, and what opening raises."""
    from lsr.errors import UsageError
    from lsr.indexer.storage.index import Index
    from lsr.query.searcher import Searcher

    index = Index.open(index_path(args), encoder=args.encoder, dense_encoder=args.dense)
    if args.encoder is not None and index.manifest.encoder["query_side"] != "model":
        raise UsageError(f"the index at {index.path} needs no model for its queries: leave out --encoder")
    return Searcher(index, approximate=_approximate(args))


def allowed_of(args: argparse.Namespace, searcher: Any) -> Any:
    """Return the documents that --filter allows, or None for all."""
    return None if args.filter_text is None else searcher.filter(args.filter_text)


def feedback_of(args: argparse.Namespace) -> Feedback | None:
    """Return how --feedback is done, None without."""
    if args.feedback is None:
        return None
    from lsr.query.feedback import Feedback

    return Feedback(n_docs=args.feedback)


def _approximate(args: argparse.Namespace) -> Approximate | None:
    if args.approximate is None:
        return None
    from lsr.query.engine.approximate import Approximate

    return Approximate.parse(args.approximate)


def passed_over(ranking: Ranking) -> dict[str, Any] | None:
    """Return what `--json` says of a search that wasn't exact."""
    if ranking.approximate is None:
        return None
    return ranking.approximate.given() | {
        "superblocks_scored": ranking.n_scored,
        "superblocks_skipped": ranking.n_skipped,
    }
