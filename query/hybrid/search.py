"""A hybrid search: the legs, their fusion, and what either said of each document found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lsr.query.engine import RankedLeg, Ranking
from lsr.query.fusion.legs import Leg
from lsr.query.hybrid.settings import UNION, Hybrid, HybridQueries, Query, Reranker
from lsr.query.hybrid.vectors import DenseReranker, dense_of, ranked_leg

if TYPE_CHECKING:
    from lsr.query.feedback import Feedback
    from lsr.query.filters import DocumentFilter
    from lsr.query.searcher import Searcher

SPARSE = "sparse"
FEW_QUERIES = 64
"""Queries up to which a model without torch, which takes one at a time, is done sooner."""
LEAST_SPARSE = 0.0
"""Weights are positive, so no score is less."""


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
    dense = None
    if hybrid.needs_dense:
        dense_of(searcher.index)
        few = len(texts) <= FEW_QUERIES
        encoder = searcher.index.dense_query_encoder if few else searcher.index.dense_encoder
        dense = encoder.encode_dense_queries(texts)
    return HybridQueries(searcher.encode(texts), dense, texts)


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
    legs = Leg(sparse.positions, sparse.scores, LEAST_SPARSE), Leg(np.empty(0, np.int64), np.empty(0))
    traversals = sparse.traversals
    if hybrid.mode == UNION:
        from lsr.query.hybrid.union import dense_leg, one_position_each

        name = DenseReranker.name
        other, how = dense_leg(searcher, query, depth, allowed=allowed)
        legs = one_position_each(searcher, (legs[0], other))
        traversals = (*traversals, how)
    else:
        reranker = hybrid.reranker or DenseReranker()
        name = reranker.name
        legs = legs[0], _reranked(searcher, query, sparse.positions, reranker)
    other_done = time.perf_counter()
    fused = hybrid.method(legs, k)
    told = tuple(
        RankedLeg(name, fused.leg_scores[:, number], fused.leg_ranks[:, number])
        for number, name in enumerate((SPARSE, name))
    )
    ranking = replace(sparse, positions=fused.docs, scores=fused.scores, traversals=traversals, legs=told)
    return HybridRanking(ranking, sparse_done - began, other_done - sparse_done, time.perf_counter() - other_done)


def _reranked(searcher: Searcher, query: Query, positions: npt.NDArray[np.int64], reranker: Reranker) -> Leg:
    minimum = reranker.minimum(searcher)
    if not len(positions):
        return Leg(positions, np.empty(0), minimum)
    return ranked_leg(positions, reranker.scores(searcher, query, positions), minimum)
