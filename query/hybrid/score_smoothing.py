"""Candidates that resemble one another are relevant to the same queries: fused scores drawn towards their neighbours'.

What is near in the space of dense vectors should score alike (van Rijsbergen's cluster hypothesis, 1979). So, as in
Diaz, "Regularizing Ad Hoc Retrieval Scores" (CIKM 2005), each candidate's score is mixed with the mean of its nearest
candidates', weighed by cosine. And the query's dense vector is moved once towards the candidates that then come first,
as in Li et al., "Pseudo Relevance Feedback with Deep Language Models and Dense Retrievers" (ACM TOIS 2023). Nothing is
searched or encoded again: both need the candidates' rows only, which lie in memory for their scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.query.feedback import Feedback, rocchio_dense
from lsr.query.fusion.fuser import Fused

Rows = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Settings of score smoothing over neighbours.

    nearest: candidates that count as neighbours of one. share: of them in a score, 0 to 1. n_docs: first candidates
    towards which the query's dense vector is moved; beta: how much of their mean is added to it.
    """

    nearest: int = 8
    share: float = 0.4
    n_docs: int = 3
    beta: float = 0.25

    def __post_init__(self) -> None:
        """Raise UsageError for a value outside its range."""
        if self.nearest < 1:
            raise UsageError(f"neighbours: nearest is {self.nearest}; it must be at least 1")
        if not 0 <= self.share <= 1:
            raise UsageError(f"neighbours: share is {self.share}; it must be 0 to 1")
        if self.n_docs < 0:
            raise UsageError(f"neighbours: n_docs is {self.n_docs}; it must be 0 or more")
        if not (math.isfinite(self.beta) and self.beta >= 0):
            raise UsageError(f"neighbours: beta is {self.beta}; it must be 0 or more")


def resemblance(rows: Rows, nearest: int) -> Rows:
    """Return what each candidate's neighbours weigh for it: float32, (n, n), each row's sum 1, or 0 without neighbours.

    rows: dense vectors, float32, (n, dimension). A weight is the cosine; below 0, of the candidate itself, and beyond
    the nearest it is 0. All that are as near as the last of the nearest count.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units = rows / np.where(lengths > 0, lengths, np.float32(1.0))
    cosines: Rows = np.maximum(units @ units.T, 0.0)
    np.fill_diagonal(cosines, 0.0)
    last = len(rows) - nearest
    if last > 0:
        cosines[cosines < np.partition(cosines, last, axis=1)[:, last : last + 1]] = 0.0
    sums = cosines.sum(axis=1, keepdims=True)
    cosines /= np.where(sums > 0, sums, 1.0)
    return cosines


def of_neighbours(scores: Values, weights: Rows) -> Values:
    """Return the mean score of each candidate's neighbours; its own, where it has none. weights: of `resemblance`."""
    return np.where(weights.any(axis=1), weights @ scores, scores)


class _Drawn(NamedTuple):
    """Candidates as they were fused, and in the order of their rows: places in that list, neighbours' means, scores."""

    fused: Fused
    places: npt.NDArray[np.intp]
    neighbours: Values
    scores: Values

    def first(self, n: int | None = None) -> npt.NDArray[np.intp]:
        """Return the rows of the n best, equal ones in the order of the rows."""
        return np.argsort(-self.scores, kind="stable")[:n]


def draw_together(
    rows: Rows, query: npt.NDArray[np.float32], fuse: Callable[[Values], Fused], settings: Neighbours
) -> Fused:
    """Return the candidates, best first, with one leg more: the mean fused score of each one's neighbours.

    The other legs' scores and ranks are those of the query as it was given, before it is moved.
    rows: of the candidates, float32, (n, dimension), in ascending order of their numbers. query: float32, (dimension).
    fuse: fuses all of them by the dense scores that it is given, in the order of the rows.
    """
    weights = resemblance(rows, settings.nearest)

    def drawn_by(vector: npt.NDArray[np.float32]) -> _Drawn:
        fused = fuse((rows @ vector).astype(np.float64))
        places = np.argsort(fused.docs)
        scores = fused.scores[places]
        neighbours = of_neighbours(scores, weights)
        return _Drawn(fused, places, neighbours, (1.0 - settings.share) * scores + settings.share * neighbours)

    drawn = given = drawn_by(query)
    if settings.n_docs and settings.beta:
        towards = Feedback(n_docs=settings.n_docs, beta=settings.beta)
        moved = rocchio_dense(query, rows[drawn.first(settings.n_docs)], towards)
        drawn = drawn_by(moved * np.float32(np.linalg.norm(query)))
    best = drawn.first()
    ranks = np.empty(len(best), np.int64)
    ranks[np.argsort(-drawn.neighbours, kind="stable")] = np.arange(1, len(best) + 1)
    at = given.places[best]
    return Fused(
        given.fused.docs[at],
        drawn.scores[best],
        np.column_stack([given.fused.leg_scores[at], drawn.neighbours[best]]),
        np.column_stack([given.fused.leg_ranks[at], ranks[best]]),
    )
