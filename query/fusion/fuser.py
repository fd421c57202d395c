"""A fuser: each leg's scores made comparable, weighed, added up; what a leg lacks counts as its method says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.query.fusion.ranked_list import Leg, pool

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparable:
    """A leg's scores as a method compares them: values, float64, (n), and the value of a document it lacks."""

    values: Values
    missing: float


Method = Callable[[Leg], Comparable]
"""Function that makes a leg's scores comparable with those of others. Never called for a leg without documents."""


@dataclass(frozen=True, slots=True)
class Fused:
    """A fused ranking, best first, with what each leg said.

    docs: int64, (n). scores: float64, (n). leg_scores: float64, (n, n_legs), the legs' own scores, NaN where
    a leg lacks the document. leg_ranks: int64, (n, n_legs), from 1, and 0 where it does.
    """

    docs: npt.NDArray[np.int64]
    scores: Values
    leg_scores: Values
    leg_ranks: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.docs)

    def first(self, k: int) -> Fused:
        """Return the k best."""
        return Fused(self.docs[:k], self.scores[:k], self.leg_scores[:k], self.leg_ranks[:k])


@dataclass(frozen=True, slots=True)
class Fuser:
    """A method of fusion with a weight for each leg.

    name: of the method. weights: finite, not negative, one a leg; None weighs all legs alike, by 1.
    """

    name: str
    method: Method
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for weights outside their range."""
        if self.weights is None:
            return
        bad = [weight for weight in self.weights if not (math.isfinite(weight) and weight >= 0)]
        if bad or not any(self.weights):
            given = ", ".join(f"{weight:g}" for weight in self.weights)
            raise UsageError(f"the weights of a fusion must be 0 or more, and not all 0, but are {given}")

    def __call__(self, legs: Sequence[Leg], k: int | None = None) -> Fused:
        """Return the k best documents of all legs, all by default; equal scores by the smaller number.

        Raises UsageError where there are not as many weights as legs, or the method can't take a leg.
        """
        if self.weights is not None and len(self.weights) != len(legs):
            raise UsageError(f"{self.name} has {len(self.weights)} weights for {len(legs)} legs: give one a leg")
        together = pool(legs)
        scores = np.zeros(len(together.docs))
        for number, leg in enumerate(legs):
            if len(leg):
                comparable = self.method(leg)
                values = together.spread(number, comparable.values, comparable.missing)
                scores += values if self.weights is None else self.weights[number] * values
        best = np.argsort(-scores, kind="stable")[:k]  # stable: documents ascend, so ties do too
        places = together.places[:, best]
        leg_scores = [np.append(leg.scores, np.nan)[row] for leg, row in zip(legs, places, strict=True)]
        stacked = np.stack(leg_scores, axis=1) if legs else np.empty((0, 0))
        return Fused(together.docs[best], scores[best], stacked, (places + 1).T)
