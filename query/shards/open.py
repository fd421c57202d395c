"""Opening of an index or a set for searches, by a transport or in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsr.indexer.storage.index import StoredIndex
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.query.shards.transport import Transport

TIMEOUT_S = 10.0
"""Time for a request to shards elsewhere."""


def open_searcher(
    path: str | Path, *, generation: int | None = None, transport: Transport | None = None,
    timeout_s: float | None = None, root: str | None = None, options: SearchOptions | None = None, **others: Any,
) -> Searcher:  # fmt: skip
    """Open a searcher. transport: searches the shards of a set (default: this process, as one index).

    generation: default, the newest. timeout_s: for each request to the shards (default: 10 s). root: path or URL of the
    set where the transport opens shards. options: with `partial`, shards that can't be opened are left out. others: of
    Searcher. Raises UsageError for a transport to a single index, and what opening raises.
    """
    chosen = options or SearchOptions()
    index = StoredIndex.open(path, generation=generation, partial=chosen.partial)
    if transport is None and not index.shards:
        return Searcher(index, options=chosen, **others)
    from lsr.query.shards.gathered import GatheredSearcher, SetSearcher

    if transport is None:
        return SetSearcher(index, options=chosen, **others)
    due = TIMEOUT_S if timeout_s is None else timeout_s
    return GatheredSearcher(index, transport, timeout_s=due, root=root, options=chosen, **others)
