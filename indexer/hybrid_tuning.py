"""Settings of hybrid search that were chosen for one collection, as its manifest keeps them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NUMBERS = ("sparse", "dense", "share")
FEWEST, MOST = 10, 1000
"""Candidates that may be chosen, as in a search."""


@dataclass(frozen=True, slots=True)
class HybridTuning:
    """Settings of hybrid search that suit a collection, and a record of what they were chosen on.

    sparse, dense: weights of the two legs. words: weight of exact words in the sparse leg, None where the encoder has
    none. share: of neighbours in a score, 0 for none. candidates: number of the sparse leg's. chosen_on: JSON values
    for people: numbers of queries, means of the legs and of settings.
    """

    sparse: float
    dense: float
    words: float | None
    share: float
    candidates: int
    chosen_on: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for a value outside its range."""
        for name in NUMBERS:
            value = getattr(self, name)
            if not _is_number(value) or value < 0:
                raise ValueError(f"{name} is {value!r:.40}; it must be 0 or more")
        if self.sparse == self.dense == 0:
            raise ValueError("the weights of both legs are 0")
        if self.share > 1:
            raise ValueError(f"share is {self.share!r:.40}; it must be 0 to 1")
        if self.words is not None and (not _is_number(self.words) or self.words <= 0):
            raise ValueError(f"words is {self.words!r:.40}; it must be above 0")
        if type(self.candidates) is not int or not FEWEST <= self.candidates <= MOST:
            raise ValueError(f"candidates is {self.candidates!r:.40}; it must be {FEWEST} to {MOST:,}")
        if not isinstance(self.chosen_on, Mapping):
            raise ValueError(f"chosen_on is {self.chosen_on!r:.40}; it must be an object")

    @property
    def described(self) -> str:
        """The settings in words."""
        words = "" if self.words is None else f", words of weight {self.words:g}"
        shared = f"{self.share:g} of neighbours" if self.share else "no neighbours"
        return f"weights {self.sparse:g} and {self.dense:g}{words}, {shared}, {self.candidates:,} candidates"

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {
            "sparse": self.sparse,
            "dense": self.dense,
            "words": self.words,
            "share": self.share,
            "candidates": self.candidates,
            "chosen_on": dict(self.chosen_on),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> HybridTuning:
        """Read the values that `to_json` wrote. Raises ValueError, TypeError or KeyError for others."""
        values = {name: content[name] for name in ("sparse", "dense", "words", "share", "candidates", "chosen_on")}
        return cls(**values)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
