"""A hybrid search: the legs, their fusion, and what either said of each document found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lsr.encoders.registry import weigh_beside_dense
from lsr.query.engine.engine import RankedLeg, Ranking
from lsr.query.fusion.fuser import Fused, Fuser
from lsr.query.fusion.ranked_list import Leg, pool
from lsr.query.hybrid.dense_scores import DenseReranker, checked_query, dense_of, ranked_leg, rows_at
from lsr.query.hybrid.score_smoothing import Neighbours, draw_together
from lsr.query.hybrid.settings import UNION, Hybrid, HybridQueries, Query, Reranker
from lsr.types import SparseBatch

if TYPE_CHECKING:
    from lsr.query.feedback import Feedback
    from lsr.query.filters.filter import DocumentFilter
    from lsr.query.searcher import Searcher

SPARSE, NEIGHBOURS = "sparse", "neighbours"
FEW_QUERIES = 64
"""Queries up to which a model without torch, which takes one at a time, is done sooner."""
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
    """A fused ranking, and what its steps took, in seconds: the sparse search, the other leg, the fusion."""

    ranking: Ranking
    sparse_s: float
    other_s: float
    fusion_s: float


def encode_queries(searcher: Searcher, texts: Sequence[str], hybrid: Hybrid) -> HybridQueries:
    """Return texts as the legs of a search take them.

    Raises UsageError for an index without dense vectors where they are needed, EncoderError if an encoder can't be
    opened.
    """
    if not hybrid.needs_dense:
        return HybridQueries(searcher.encode(texts), None, texts)
    dense_of(searcher.index)
    few = len(texts) <= FEW_QUERIES
    encoder = searcher.index.dense_query_encoder if few else searcher.index.dense_encoder
    return with_dense(searcher, searcher.encode(texts), encoder.encode_dense_queries(texts), texts)


def with_dense(
    searcher: Searcher,
    sparse: SparseBatch,
    dense: npt.NDArray[np.float32],
    texts: Sequence[str] | None = None,
) -> HybridQueries:
    """Return queries that are searched by both vectors, their words weighed as they should be beside a dense one.

    sparse: as `Searcher.encode` gives them. dense: float32, (n, dimension).
    """
    return HybridQueries(weigh_beside_dense(sparse, searcher.index.manifest.encoder), dense, texts)


def rank_hybrid(
    searcher: Searcher,
    query: Query,
    k: int,
    hybrid: Hybrid,
    *,
    once: bool = False,
    allowed: DocumentFilter | None = None,
    feedback: Feedback | None = None,
) -> HybridRanking:
    """Return the k best documents of a query by all legs. once, allowed, feedback: as for `Searcher.search`."""
    depth = max(k, hybrid.candidates)
    began = time.perf_counter()
    sparse = searcher.rank_vector((query.term_ids, query.weights), depth, once=once, allowed=allowed, feedback=feedback)
    sparse_done = time.perf_counter()
    leg = Leg(sparse.positions, sparse.scores, LEAST_SPARSE)
    names, traversals = [SPARSE, DenseReranker.name], sparse.traversals
    if hybrid.mode == UNION:
        from lsr.query.hybrid.dense_search import dense_leg, one_position_each

        few = hybrid.neighbours is not None and len(leg) == depth
        other, how = dense_leg(searcher, query, depth // FEWER_DENSE if few else depth, allowed=allowed)
        leg, other = one_position_each(searcher, (leg, other))
        traversals = (*traversals, how)
    elif hybrid.neighbours is None:
        reranker = hybrid.reranker or DenseReranker()
        names[1] = reranker.name
        other = _reranked(searcher, query, leg.docs, reranker)
    else:
        other = NO_MORE
    other_done = time.perf_counter()
    if hybrid.neighbours is None:
        fused = hybrid.method((leg, other), k)
    else:
        names.append(NEIGHBOURS)
        candidates = pool((leg, other)).docs
        fused = _with_neighbours(searcher, query, leg, candidates, hybrid.method, hybrid.neighbours).first(k)
    told = tuple(
        RankedLeg(name, fused.leg_scores[:, number], fused.leg_ranks[:, number]) for number, name in enumerate(names)
    )
    ranking = replace(sparse, positions=fused.docs, scores=fused.scores, traversals=traversals, legs=told)
    return HybridRanking(ranking, sparse_done - began, other_done - sparse_done, time.perf_counter() - other_done)


def _with_neighbours(
    searcher: Searcher,
    query: Query,
    sparse: Leg,
    candidates: npt.NDArray[np.int64],
    method: Fuser,
    neighbours: Neighbours,
) -> Fused:
    """Return the candidates, ascending, as they were drawn together."""
    minimum = DenseReranker().minimum(searcher)
    vector = checked_query(query.dense, dense_of(searcher.index))

    def fuse(scores: npt.NDArray[np.float64]) -> Fused:
        return method((sparse, ranked_leg(candidates, scores, minimum)))

    return draw_together(rows_at(searcher, candidates), vector, fuse, neighbours)


def _reranked(searcher: Searcher, query: Query, positions: npt.NDArray[np.int64], reranker: Reranker) -> Leg:
    minimum = reranker.minimum(searcher)
    if not len(positions):
        return Leg(positions, np.empty(0), minimum)
    return ranked_leg(positions, reranker.scores(searcher, query, positions), minimum)
