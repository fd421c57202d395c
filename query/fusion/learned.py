"""Weights of the legs from a few judged queries, by exact line search.

A fused score is linear in a weight, so a query's ranking changes only where two documents' lines cross, and the
mean nDCG is a step function of the weight whose steps can all be found: the line search of Och, "Minimum Error Rate
Training in Statistical Machine Translation" (ACL 2003), here over rankings. Bruch, Gai and Ingber (ACM TOIS 2023)
find a handful of judged queries enough for the one weight of two legs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.query.fusion.fuser import Fuser
from lsr.query.fusion.ranked_list import Leg, pool
from lsr.query.fusion.registry import DEFAULT_FUSER, METHODS

Values = npt.NDArray[np.float64]
ROUNDS = 5
"""Of line searches over three legs or more; two legs are done in one."""
DECIMALS = 9
"""Of a weight: no step that is narrower is looked at."""


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query's legs, and what is known of documents: doc → relevance above 0; others count 0."""

    legs: Sequence[Leg]
    relevance: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Learned:
    """A fuser whose weights were learned, and the mean nDCG that it reaches on the queries it learned from."""

    fuser: Fuser
    ndcg: float


@dataclass(frozen=True, slots=True)
class _Query:
    """comparable: float64 (n_legs, n). relevant: rows of documents with a gain. ideal: DCG of the best ranking."""

    comparable: Values
    relevant: npt.NDArray[np.int64]
    gains: Values
    ideal: float


def learn_weights(
    queries: Sequence[JudgedQuery], *, method: str = DEFAULT_FUSER, cutoff: int = 10, smoothing: float = 0.05
) -> Learned:
    """Return the fuser with the best mean nDCG@cutoff on judged queries; its weights sum to 1.

    Judge with queries that nothing is evaluated on. method: what makes scores comparable. smoothing: how far to
    each side of a weight its quality is averaged, so that a narrow peak, which chance makes, isn't taken for a
    hill; 0 takes the widest of the highest steps. Raises UsageError without a judged query whose relevant
    documents some leg finds, for fewer than two legs, or for an unknown method.
    """
    if method not in METHODS:
        raise UsageError(f"unknown fusion {method!r}: use one of {', '.join(METHODS)}")
    n_legs = len(queries[0].legs) if queries else 0
    if n_legs < 2 or any(len(query.legs) != n_legs for query in queries):
        raise UsageError("learning weights needs judged queries with the same legs, two or more of them")
    prepared = [found for query in queries if (found := _prepare(query, method, cutoff)) is not None]
    if not prepared:
        raise UsageError("no leg finds a relevant document for any judged query: there is nothing to learn from")
    weights = np.full(n_legs, 1.0 / n_legs)
    for _ in range(1 if n_legs == 2 else ROUNDS):
        before = weights
        for leg in range(1, n_legs):
            weights = _best_on_line(prepared, weights, leg, cutoff, smoothing)
        if np.array_equal(weights, before):
            break
    fuser = Fuser(f"learned-{method}", METHODS[method], tuple(weights.tolist()))
    total = sum(_ndcg(query, weights, cutoff) for query in prepared)
    return Learned(fuser, total / len(queries))


def _prepare(query: JudgedQuery, method: str, cutoff: int) -> _Query | None:
    """Return the query's comparable scores, or None if no leg finds anything relevant, whatever the weights."""
    together = pool(query.legs)
    comparable = np.zeros((len(query.legs), len(together.docs)))
    for number, leg in enumerate(query.legs):
        if len(leg):
            found = METHODS[method](leg)
            comparable[number] = together.spread(number, found.values, found.missing)
    gains = np.array([max(0.0, query.relevance.get(doc, 0.0)) for doc in together.docs.tolist()])
    relevant = np.flatnonzero(gains)
    if not len(relevant):
        return None
    best = np.sort([gain for gain in query.relevance.values() if gain > 0])[::-1][:cutoff]
    ideal = float((best / np.log2(np.arange(2, len(best) + 2))).sum())
    return _Query(comparable, relevant, gains[relevant], ideal)


def _best_on_line(queries: Sequence[_Query], weights: Values, leg: int, cutoff: int, smoothing: float) -> Values:
    """Return the best weights over t in [0, 1]: `leg` has t, the others share 1 − t as before."""
    others = weights.copy()
    others[leg] = 0.0
    others = others / others.sum() if others.sum() > 0 else np.where(np.arange(len(weights)) == leg, 0.0, 1.0)
    others /= others.sum()
    steps = [_steps(query, _weighed(others, query), query.comparable[leg], cutoff) for query in queries]
    at = np.concatenate([edges for edges, _ in steps])
    change = np.concatenate([changes for _, changes in steps])
    order = np.argsort(at, kind="stable")
    edges, first = np.unique(at[order], return_index=True)
    heights = np.cumsum(np.add.reduceat(change[order], first))
    edges = np.append(edges, 1.0) if edges[-1] < 1.0 else edges
    t = _highest(edges, heights[: len(edges) - 1], smoothing)
    new: Values = (1.0 - t) * others
    new[leg] = t
    return new


def _steps(query: _Query, start: Values, end: Values, cutoff: int) -> tuple[Values, Values]:
    """Return the places on [0, 1) where the query's nDCG changes, and by how much.

    The first place is 0, with the value there.

    start, end: float64 (n), the documents' scores at t = 0 and t = 1. Just right of each edge counts.
    """
    discounts = np.concatenate([1.0 / np.log2(np.arange(2, cutoff + 2)), [0.0]])
    all_edges, all_changes = [np.zeros(1)], []
    value_at_0 = 0.0
    rows = np.arange(len(start))
    for row, gain in zip(query.relevant, query.gains, strict=True):
        gap, slope = start - start[row], (end - start) - (end[row] - start[row])
        # Just right of 0: ahead is who leads, or ties and rises, or ties for good and comes first.
        ahead = (gap > 0) | ((gap == 0) & ((slope > 0) | ((slope == 0) & (rows < row))))
        rank = int(np.count_nonzero(ahead))
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = -gap / slope
        # Rounded, so that what would cross at one place crosses there, whatever the last digits of a float say.
        rounded = np.round(crossing, DECIMALS)
        crosses = (slope != 0) & (crossing > 0) & (rounded < 1)
        order = np.argsort(rounded[crosses], kind="stable")
        moves = np.where(ahead[crosses], -1, 1)[order]
        ranks = np.minimum(np.concatenate([[rank], rank + np.cumsum(moves)]), cutoff)
        worth = gain / query.ideal * discounts[ranks]
        value_at_0 += worth[0]
        changed = np.flatnonzero(np.diff(worth))
        all_edges.append(rounded[crosses][order][changed])
        all_changes.append(np.diff(worth)[changed])
    return np.concatenate(all_edges), np.concatenate([[value_at_0], *all_changes])


def _highest(edges: Values, heights: Values, smoothing: float) -> float:
    """Return where a step function on [0, 1] is highest: edges (n + 1), heights (n), smoothed over ± `smoothing`."""
    if smoothing == 0:
        best = np.flatnonzero(np.isclose(heights, heights.max(), rtol=0, atol=1e-12))
        widest = best[np.argmax((edges[1:] - edges[:-1])[best])]
        return float((edges[widest] + edges[widest + 1]) / 2)
    area = np.concatenate([[0.0], np.cumsum(heights * np.diff(edges))])
    # The smoothed function is made of straight lines: its highest point is one of their ends.
    ends = np.unique(np.clip(np.concatenate([edges - smoothing, edges, edges + smoothing]), 0.0, 1.0))
    low, high = np.maximum(ends - smoothing, 0.0), np.minimum(ends + smoothing, 1.0)
    means = (np.interp(high, edges, area) - np.interp(low, edges, area)) / (high - low)
    best = ends[np.isclose(means, means.max(), rtol=0, atol=1e-12)]
    return float(best[len(best) // 2])


def _weighed(weights: Values, query: _Query) -> Values:
    """Return the fused scores, summed as a fuser does: a matrix product may round equal columns differently."""
    scores: Values = np.zeros(query.comparable.shape[1])
    for weight, values in zip(weights, query.comparable, strict=True):
        scores += weight * values
    return scores


def _ndcg(query: _Query, weights: Values, cutoff: int) -> float:
    """Return nDCG@cutoff with some weights."""
    scores = _weighed(weights, query)
    order = np.argsort(-scores, kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    discounts = np.concatenate([1.0 / np.log2(np.arange(2, cutoff + 2)), [0.0]])
    return float((query.gains * discounts[np.minimum(ranks[query.relevant], cutoff)]).sum() / query.ideal)
