"""What every loss is given: the scores of a batch's queries and documents, and which belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

CANDIDATES = ("own", "batch")
"""Whose documents a query is to be ranked against: those of its own example, or all of the batch."""


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """The scores of each query of a batch with each document of the batch.

    scores: the student's, float32, (n_queries, n_documents), with a gradient.
    positives: int64, (n_queries), the column of each query's positive.
    own: bool, (n_queries, n_documents), True for the documents of the query's own example.
    same: bool, (n_queries, n_documents), True for other columns that hold the same text as the query's positive:
    no negatives, though another example brought them.
    teacher: the teachers' scores put together, (n_queries, n_documents), NaN where none is known; None without them.
    """

    scores: Tensor
    positives: Tensor
    own: Tensor
    same: Tensor
    teacher: Tensor | None = None

    def candidates(self, which: str) -> Tensor:
        """Return, bool (n_queries, n_documents), the documents that a query is ranked against."""
        return (self.own if which == "own" else torch.ones_like(self.own)) & ~self.same

    def negatives(self, which: str) -> Tensor:
        """Return the candidates without the positive."""
        return self.candidates(which).scatter(1, self.positives[:, None], False)

    @property
    def positive_scores(self) -> Tensor:
        """The student's scores of the positives, (n_queries, 1)."""
        return self.scores.gather(1, self.positives[:, None])


Loss = Callable[[ScoredBatch], Tensor]
"""Returns a scalar with a gradient: the mean over the queries."""


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of values where the mask is True; 0, with a gradient of 0, where it never is."""
    return torch.where(mask, values, 0).sum() / mask.sum().clamp(min=1)
