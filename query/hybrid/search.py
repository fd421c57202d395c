"""Hybrid search: both legs, their fusion, and the score and rank that each leg gave a document."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lsr.encoders.registry import weigh_beside_dense
from lsr.query.deadline import check_deadline
from lsr.query.engine.batches import TASK
from lsr.query.engine.engine import RankedLeg, Ranking
from lsr.query.fusion.fuser import Fused, Fuser
from lsr.query.fusion.ranked_list import Leg, pool
from lsr.query.hybrid.dense_scores import DenseReranker, checked_query, dense_of, ranked_leg, rows_at
from lsr.query.hybrid.score_smoothing import Neighbours, draw_together
from lsr.query.hybrid.settings import UNION, Hybrid, Reranker
from lsr.query.queries import Queries, Query
from lsr.query.sparse_search import EVERYTHING, Scope
from lsr.types import SparseBatch

if TYPE_CHECKING:
    from lsr.query.sparse_search import SparseSearch

SPARSE, NEIGHBOURS = "sparse", "neighbours"
FEW_QUERIES = 64
"""Queries up to which a model without torch, which takes one at a time, is faster."""
LEAST_SPARSE = 0.0
"""Weights are positive, so no score is less."""
FEWER_DENSE = 4
"""A quarter as many candidates are looked for by dense vectors as by sparse ones where neighbours count.

All candidates are scored by dense vectors then, and one that no term finds has to be among the first to be relevant.
"""

NO_MORE = Leg(np.empty(0, np.int64), np.empty(0))
"""The second leg where the sparse one alone finds candidates, which are scored where neighbours are looked for."""


@dataclass(frozen=True, slots=True)
class HybridRanking:
    """A fused ranking, and the seconds of its steps: the sparse search, the other leg, the fusion."""

    ranking: Ranking
    sparse_s: float
    other_s: float
    fusion_s: float


def encode_queries(search: SparseSearch, texts: Sequence[str], hybrid: Hybrid) -> Queries:
    """Return texts as the legs of a search take them.

    Raises UsageError for an index without dense vectors where they are needed, EncoderError if an encoder can't be
    opened.
    """
    if not hybrid.needs_dense:
        return Queries(search.encode(texts), None, texts)
    dense_of(search.index)
    few = len(texts) <= FEW_QUERIES
    encoder = search.encoders.dense_queries if few else search.encoders.dense
    return with_dense(search, search.encode(texts), encoder.encode_dense_queries(texts), texts, hybrid=hybrid)


def with_dense(
    search: SparseSearch,
    sparse: SparseBatch,
    dense: npt.NDArray[np.float32],
    texts: Sequence[str] | None = None,
    *,
    hybrid: Hybrid | None = None,
) -> Queries:
    """Return queries that are searched by both vectors, their words weighed for a search beside dense vectors.

    sparse: as `SparseSearch.encode` gives them. dense: float32, (n, dimension). hybrid: settings (default: the usual).
    """
    manifest = search.index.manifest
    weight = (hybrid or Hybrid()).settled(manifest.tuning).word_weight
    return Queries(weigh_beside_dense(sparse, manifest.encoder, weight), dense, texts)


def at_once(hybrid: Hybrid) -> int:
    """Return the number of queries that a thread takes at a time."""
    from lsr.query.hybrid.dense_search import MANY_QUERIES

    return MANY_QUERIES if hybrid.mode == UNION else TASK


def with_nearest(
    search: SparseSearch, queries: Sequence[Query], k: int, hybrid: Hybrid, scope: Scope
) -> Sequence[Query]:
    """Return the queries of a union with their nearest documents, as far as the search for them shares work."""
    if hybrid.mode != UNION:
        return queries
    from lsr.query.hybrid.dense_search import nearest_ahead

    hybrid = hybrid.settled(search.index.manifest.tuning)
    found = nearest_ahead(search, queries, _dense_depth(hybrid, max(k, hybrid.depth)), allowed=scope.allowed)
    if found is None:
        return queries
    return [query._replace(nearest=one) for query, one in zip(queries, found, strict=True)]


def _dense_depth(hybrid: Hybrid, depth: int) -> int:
    """Return how many documents are looked for by dense vectors where terms find as many as are wanted."""
    return depth if hybrid.neighbours is None else depth // FEWER_DENSE


def rank_hybrid(search: SparseSearch, query: Query, k: int, hybrid: Hybrid, scope: Scope = EVERYTHING) -> HybridRanking:
    """Return the k best documents of a query by all legs, fused. Settings not asked for are those of the index."""
    hybrid = hybrid.settled(search.index.manifest.tuning)
    depth = max(k, hybrid.depth)
    began = time.perf_counter()
    sparse = search.rank_vector((query.term_ids, query.weights), depth, scope)
    sparse_done = time.perf_counter()
    check_deadline("second leg")
    leg = Leg(sparse.positions, sparse.scores, LEAST_SPARSE)
    names, traversals = [SPARSE, DenseReranker.name], sparse.traversals
    if hybrid.mode == UNION:
        from lsr.query.hybrid.dense_search import dense_leg, one_position_each

        wanted = _dense_depth(hybrid, depth) if len(leg) == depth else depth
        found = query.nearest if wanted == _dense_depth(hybrid, depth) else None
        other, how = dense_leg(search, query, wanted, allowed=scope.allowed, found=found)
        leg, other = one_position_each(search, (leg, other))
        traversals = (*traversals, how)
    elif hybrid.neighbours is None:
        reranker = hybrid.reranker or DenseReranker()
        names[1] = reranker.name
        other = _reranked(search, query, leg.docs, reranker)
    else:
        other = NO_MORE
    other_done = time.perf_counter()
    check_deadline("fusion")
    if hybrid.neighbours is None:
        fused = hybrid.method((leg, other), k)
    else:
        names.append(NEIGHBOURS)
        candidates = pool((leg, other)).docs
        fused = _with_neighbours(search, query, leg, candidates, hybrid.method, hybrid.neighbours).first(k)
    legs = tuple(
        RankedLeg(name, fused.leg_scores[:, number], fused.leg_ranks[:, number]) for number, name in enumerate(names)
    )
    ranking = replace(sparse, positions=fused.docs, scores=fused.scores, traversals=traversals, legs=legs)
    return HybridRanking(ranking, sparse_done - began, other_done - sparse_done, time.perf_counter() - other_done)


def _with_neighbours(
    search: SparseSearch,
    query: Query,
    sparse: Leg,
    candidates: npt.NDArray[np.int64],
    method: Fuser,
    neighbours: Neighbours,
) -> Fused:
    """Return the candidates, ascending, their scores smoothed over their neighbours."""
    minimum = DenseReranker().minimum(search)
    vector = checked_query(query.dense, dense_of(search.index))

    def fuse(scores: npt.NDArray[np.float64]) -> Fused:
        return method((sparse, ranked_leg(candidates, scores, minimum)))

    return draw_together(rows_at(search, candidates), vector, fuse, neighbours)


def _reranked(search: SparseSearch, query: Query, positions: npt.NDArray[np.int64], reranker: Reranker) -> Leg:
    minimum = reranker.minimum(search)
    if not len(positions):
        return Leg(positions, np.empty(0), minimum)
    return ranked_leg(positions, reranker.scores(search, query, positions), minimum)
