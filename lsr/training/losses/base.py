"""Interface of losses: the scores of a batch in, a scalar out; and their registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from lsr.training.registry import Registry, options_of

CANDIDATES = ("own", "batch")
"""Documents that a query is ranked against: those of the same example, or all of the batch."""

NO_TEACHER, SCORES, VECTORS = "none", "scores", "vectors"
"""Output of teachers that a loss compares the student with."""


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """Scores of each query of a batch with each document of the batch.

    scores: the student's, float32, (n_queries, n_documents), with a gradient.
    positives: int64, (n_queries), the column of each query's positive.
    own: bool, (n_queries, n_documents), True for the documents of the query's own example.
    same: bool, (n_queries, n_documents), True for other columns that hold the same text as the query's positive:
    no negatives, though another example brought them.
    teacher: combined scores of the teachers, (n_queries, n_documents), NaN where none is known; None without them.
    query_logits: (n_queries, n_terms) with a gradient, −∞ for terms that a query lacks; None where there are none.
    standing: bool, (n_documents, n_terms), True for the tokens of a document's text; None where no loss asks for it.
    """

    scores: Tensor
    positives: Tensor
    own: Tensor
    same: Tensor
    teacher: Tensor | None = None
    query_logits: Tensor | None = None
    standing: Tensor | None = None

    def candidates(self, which: str) -> Tensor:
        """Return, bool (n_queries, n_documents), the documents that a query is ranked against."""
        return (self.own if which == "own" else torch.ones_like(self.own)) & ~self.same

    def negatives(self, which: str) -> Tensor:
        """Return the candidates without the positive."""
        return self.candidates(which).scatter(1, self.positives[:, None], False)

    @property
    def positive_scores(self) -> Tensor:
        """Scores of the positives by the student, (n_queries, 1)."""
        return self.scores.gather(1, self.positives[:, None])


Loss = Callable[[ScoredBatch], Tensor]
"""Returns a scalar with a gradient: the mean over the queries."""


@dataclass(frozen=True, slots=True)
class LossKind:
    """Registered loss. function: its keyword-only parameters are the options of `[loss.NAME]`.

    function: of a `ScoredBatch`; with teacher `vectors` of the student's and the teacher's vectors.
    teacher: `none`, `scores` or `vectors`. normalises: whether each teacher's scores are min-max normalised first.
    """

    function: Callable[..., Tensor]
    teacher: str
    normalises: bool

    @property
    def options(self) -> Mapping[str, Any]:
        """Options with their defaults."""
        return options_of(self.function)


LOSSES: Registry[LossKind] = Registry("loss", "lsr.training.losses")

_Function = TypeVar("_Function", bound=Callable[..., Tensor])


def register_loss(
    name: str, *, teacher: str = NO_TEACHER, normalises: bool = False
) -> Callable[[_Function], _Function]:
    """Register the function below as loss `name`; the other arguments are those of `LossKind`."""

    def register(function: _Function) -> _Function:
        LOSSES.add(name, LossKind(function, teacher, normalises))
        return function

    return register


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of values where the mask is True; 0, with a gradient of 0, where it never is."""
    return torch.where(mask, values, 0).sum() / mask.sum().clamp(min=1)
