"""Recall of approximate search on an index's own documents: the heaviest terms of some are the queries.

Real queries are seldom at hand where an index is. A document's heaviest terms, weighed as they are, have its neighbours
as results; the document itself, which every search finds, doesn't count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.query.engine.approximate import LEVELS, Approximate
from lsr.query.engine.engine import Ranking
from lsr.query.sparse_search import Scope, SparseSearch, SparseVector

QUERIES, QUERY_TERMS, KS = 200, 24, (10, 100)


def measure_recall(search: SparseSearch, *, n_queries: int = QUERIES, ks: Sequence[int] = KS) -> Mapping[str, Any]:
    """Return the recall of each approximate level, for a manifest and for people.

    The result has `levels`, by name and k, and the `generation`, `n_docs` and `n_queries` that it is of. Raises
    UsageError for an index without documents.
    """
    queries = own_queries(search, n_queries)
    if not queries:
        raise UsageError(f"the index at {search.index.path} has no document of which to make queries")
    levels: dict[str, dict[str, float]] = {level: {} for level in LEVELS}
    for k in ks:
        exact = [search.rank_vector(vector, k + 1) for _, vector in queries]
        for level in LEVELS:
            scope = Scope(approximate=Approximate(level=level))
            values = [
                _recall(one, search.rank_vector(vector, k + 1, scope), own, k)
                for (own, vector), one in zip(queries, exact, strict=True)
            ]
            levels[level][str(k)] = round(float(np.mean(values)), 4)
    manifest = search.index.manifest
    counts = {"generation": manifest.generation, "n_docs": manifest.n_docs, "n_queries": len(queries)}
    return counts | {"levels": levels}


def own_queries(search: SparseSearch, n: int) -> list[tuple[int, SparseVector]]:
    """Return positions of documents at equal distances, each with the query of its heaviest terms."""
    live = _live_positions(search)
    if not len(live):
        return []
    positions = live[np.unique(np.linspace(0, len(live) - 1, min(n, len(live))).astype(np.int64))]
    found = []
    for position, (term_ids, impacts) in zip(positions.tolist(), search.impact_rows(positions), strict=True):
        if len(term_ids):
            kept = np.sort(np.argsort(-impacts, kind="stable")[:QUERY_TERMS])
            found.append((position, (term_ids[kept], impacts[kept])))
    return found


def _live_positions(search: SparseSearch) -> npt.NDArray[np.int64]:
    index = search.index
    rows = [np.flatnonzero(segment.live_rows) for segment in index.segments]
    starts = np.cumsum([0, *(segment.n_docs for segment in index.segments)])
    places = np.concatenate([np.empty(0, np.int64), *(a + b for a, b in zip(rows, starts, strict=False))])
    return np.sort(index.places.of_places(places.astype(np.int64)))


def _recall(exact: Ranking, found: Ranking, own: int, k: int) -> float:
    """Return the share of the k exact results found, `own` left out; scores equal to the last one's count."""
    wanted = exact.scores[exact.positions != own]
    if not len(wanted):
        return 1.0
    k = min(len(wanted), k)
    reached = found.scores[found.positions != own][:k] >= wanted[k - 1]
    return float(reached.sum()) / k
