"""Legs of a hybrid search: ranked lists with their scores, brought together for fusion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError


@dataclass(frozen=True, slots=True)
class Leg:
    """One system's ranked list for a query, best first.

    docs: int64, (n), unique; of equal fused scores the smaller number wins, so positions in order of addition
    keep ties as they are everywhere. scores: float64, (n), finite, never increasing. minimum: the least score
    that the system can give to any document (0 for sparse vectors, −1 for cosines); None if there is no knowing.
    """

    docs: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    minimum: float | None = None

    @classmethod
    def of(cls, docs: npt.ArrayLike, scores: npt.ArrayLike, *, minimum: float | None = None) -> Leg:
        """Check a ranked list and make it a leg. Raises UsageError naming what is wrong with it."""
        numbers, values = np.asarray(docs, np.int64), np.asarray(scores, np.float64)
        if numbers.ndim != 1 or numbers.shape != values.shape:
            raise UsageError(
                f"a leg has docs of shape {numbers.shape} and scores of shape {values.shape}: one a document"
            )
        if not np.isfinite(values).all():
            raise UsageError(f"a leg has the score {values[~np.isfinite(values)][0]}; scores must be finite numbers")
        if (values[1:] > values[:-1]).any():
            at = int(np.argmax(values[1:] > values[:-1])) + 1
            raise UsageError(f"a leg's scores must not increase, but {values[at - 1]} is followed by {values[at]}")
        if len(np.unique(numbers)) < len(numbers):
            raise UsageError("a leg holds a document twice; a ranked list holds each once")
        if minimum is not None and (not math.isfinite(minimum) or (len(values) and values[-1] < minimum)):
            raise UsageError(
                f"a leg's scores can't be below {minimum}, but one is {values[-1] if len(values) else '-'}"
            )
        return cls(numbers, values, minimum)

    def __len__(self) -> int:
        return len(self.docs)


@dataclass(frozen=True, slots=True)
class Pool:
    """The documents of all legs, and where each stands in each leg.

    docs: int64, (n), ascending. places: int64, (n_legs, n): the document's place in the leg from 0, −1 where
    the leg lacks it.
    """

    docs: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]

    def spread(self, leg: int, values: npt.NDArray[np.float64], missing: float) -> npt.NDArray[np.float64]:
        """Return a leg's values for the documents of the pool, `missing` where the leg lacks one."""
        # Place −1 takes the last of the padded values.
        spread: npt.NDArray[np.float64] = np.append(values, missing)[self.places[leg]]
        return spread


def pool(legs: Sequence[Leg]) -> Pool:
    """Bring the legs' documents together."""
    everything = np.concatenate([leg.docs for leg in legs]) if legs else np.empty(0, np.int64)
    order = np.argsort(everything, kind="stable")
    ordered = everything[order]
    first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    rows = np.cumsum(first) - 1
    places = np.full((len(legs), int(rows[-1]) + 1 if len(rows) else 0), -1, np.int64)
    starts = np.concatenate([[0], np.cumsum([len(leg) for leg in legs])]).astype(np.int64)
    which = np.searchsorted(starts[1:], order, side="right")
    places[which, rows] = order - starts[which]
    return Pool(ordered[first], places)
