"""Opening of the index for the commands that search it, and messages that they share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lsr.cli.common import index_path, note
from lsr.output.numbers import counted

if TYPE_CHECKING:
    from lsr.query.options import SearchOptions
    from lsr.query.searcher import Searcher
    from lsr.types import Hit, MissingShard


def open_searcher(args: argparse.Namespace, options: SearchOptions, *, once: bool = False) -> Searcher:
    """Open the index of the arguments. once: for a single query.

    Raises UsageError for an --encoder that the index doesn't take, or a --dense that no search needs, and what opening
    raises.
    """
    from lsr.errors import UsageError
    from lsr.query.shards.open import open_searcher as opened

    if args.dense is not None and options.hybrid_search is None:
        raise UsageError("--dense goes with --hybrid or --rerank")
    encoder = getattr(args, "encoder", None)
    return opened(index_path(args), encoder=encoder, dense_encoder=args.dense, options=options, once=once)


def add_dense_argument(parser: argparse.ArgumentParser) -> None:
    """Add --dense, the folder of the index's dense model."""
    parser.add_argument("--dense", metavar="E", help="where the index's dense model is now, if it isn't where it was")


def n_searched(searcher: Searcher) -> int:
    """Return how many documents, or passages, the searcher's default options let a search find."""
    from lsr.query.stages import scope_of

    allowed = scope_of(searcher, searcher.options).allowed
    return len(searcher.index) if allowed is None else allowed.n_allowed


def note_nothing(searcher: Searcher, query: str) -> None:
    """Say that a search found nothing, and what would find more."""
    from lsr.query.typed_query import parse_query

    n_found = n_searched(searcher)
    if not n_found:
        where = searcher.options.where
        note("nothing found: " + ("the index holds no document" if where is None else f"no document fits {where!r}"))
        return
    hybrid, offset = searcher.options.hybrid_search, searcher.options.offset
    more = "; --hybrid union finds by dense vectors alone, too" if hybrid is not None and hybrid.mode != "union" else ""
    if offset or searcher.options.min_score is not None:
        more = "; leave out --offset and --min-score to see more" + more
    what = "holds a term of the query"
    if not searcher.options.plain and parse_query(query).conditions is not None:
        what = "meets the query's phrases, +words and -words"
        more = "; --plain searches for the query as it is" + more
    note(f"nothing found: no document {what} (searched {n_found:,}){more}")


def note_missing(missing: Sequence[MissingShard]) -> None:
    """Say which shards a partial answer lacks, and how many documents that are."""
    if missing:
        n_docs = sum(shard.n_docs for shard in missing)
        names = ", ".join(shard.name for shard in missing)
        note(f"partial: {counted(len(missing), 'shard')} with {counted(n_docs, 'document')} not searched ({names})")
        for shard in missing:
            note(f"{shard.name}: {shard.reason}")


def note_stale(args: argparse.Namespace, hits: Iterable[Hit]) -> None:
    """Say how many hits are of files that have changed or vanished, and the command that follows them."""
    n_stale = sum(hit.stale is not None for hit in hits)
    if n_stale:
        from lsr.indexer.sources.staleness import mended_by

        named = None if args.index is None else str(args.index)
        note(f"{counted(n_stale, 'hit')} of changed or vanished files: '{mended_by(named)}' follows them")
