"""The settings of a search that may miss documents. Nothing searches so unless it is asked to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lsr.errors import UsageError
from lsr.io.option_spec import is_number, is_whole_number
from lsr.kernels.traversals.names import FIRST, FIRST_POWER

LEAST_ALPHA = 0.01
NO_LIMIT = 1 << 62
LEVELS: Mapping[str, int] = {"fast": 2, "balanced": 4, "near-exact": 12}
"""Levels by name: superblocks scored, as a multiple of those that an exact search scores first."""
SETTINGS = f"{', '.join(LEVELS)}, or alpha=A, superblocks=N, query_cut=N"
_KINDS: Mapping[str, type[Any]] = {"level": str, "alpha": float, "superblocks": int, "query_cut": int}


@dataclass(frozen=True, slots=True)
class Approximate:
    """Limits of an approximate search, which may miss documents.

    Attributes:
        level: "fast", "balanced" or "near-exact": how many superblocks to score for as many results as are wanted,
            2, 4 or 12 times 12 · k^0.7; instead of `superblocks`.
        alpha: from 0.01 to 1; upper bounds are multiplied by it before they are compared with the threshold, so that
            documents which could only just enter the results are missed.
        superblocks: the most to score in a segment, of 64 documents each, the most promising first.
        query_cut: how many of the terms that are frequent in a segment, the heaviest, choose what is scored (and all
            that are rare there); scores are always those of the whole query.

    Raises:
        UsageError: a value is of another type or outside its range, all four are left out, or
            level and superblocks are both given.

    Example:
        >>> import lsr
        >>> index = lsr.index(["Trees grow slowly.", "A tree house."], "my-index", encoder="bm25")
        >>> index.search("tree", approximate=lsr.Approximate(alpha=0.8)).exact
        False
    """

    alpha: float = 1.0
    superblocks: int | None = None
    query_cut: int | None = None
    level: str | None = None

    def __post_init__(self) -> None:
        if self.level is not None and (not isinstance(self.level, str) or self.level not in LEVELS):
            raise UsageError(f"level is {self.level!r:.60}; it must be one of {', '.join(LEVELS)}")
        if self.level is not None and self.superblocks is not None:
            raise UsageError("level and superblocks both say how many superblocks to score: leave out one")
        if not is_number(self.alpha) or not LEAST_ALPHA <= self.alpha <= 1:
            raise UsageError(f"alpha is {self.alpha!r:.60}; it must be from {LEAST_ALPHA:g} to 1")
        for name, value in (("superblocks", self.superblocks), ("query_cut", self.query_cut)):
            if value is not None and (not is_whole_number(value) or value < 1):
                raise UsageError(f"{name} is {value!r:.60}; it must be at least 1")
        if self.alpha == 1 and self.superblocks is None and self.query_cut is None and self.level is None:
            raise UsageError(f"an approximate search needs one of {SETTINGS}")

    @classmethod
    def parse(cls, settings: str) -> Approximate:
        """Read settings as the command line gives them, `LEVEL` or `name=value,…`. Raises UsageError for others."""
        values: dict[str, str | float | int] = {}
        for setting in settings.split(","):
            name, _, value = ("level", "=", setting) if setting in LEVELS else setting.partition("=")
            try:
                values[name] = _KINDS[name](value)
            except (KeyError, ValueError):
                raise UsageError(f"approximate {setting:.60}: the settings are {SETTINGS}") from None
        return cls(**values)  # type: ignore[arg-type]

    @classmethod
    def of(cls, settings: Mapping[str, str | float | int]) -> Approximate:
        """Return the settings of a mapping, as {"alpha": 0.8}. Raises UsageError for others."""
        for name, value in settings.items():
            wanted = (int, float) if name == "alpha" else _KINDS.get(name, int)
            if name not in _KINDS or isinstance(value, bool) or not isinstance(value, wanted):
                raise UsageError(f"approximate {name!r:.40}: {value!r:.40}; the settings are {SETTINGS}")
        return cls(**settings)  # type: ignore[arg-type]

    def most_superblocks(self, k: int) -> int:
        """Return the most superblocks to score in a segment for k results."""
        if self.level is not None:
            return int(LEVELS[self.level] * FIRST * k**FIRST_POWER)
        return self.superblocks or NO_LIMIT

    def given(self) -> dict[str, str | float | int]:
        """Return the settings that differ from their defaults."""
        settings = {"level": self.level, "alpha": self.alpha if self.alpha < 1 else None}
        settings |= {"superblocks": self.superblocks, "query_cut": self.query_cut}
        return {name: value for name, value in settings.items() if value is not None}

    def __str__(self) -> str:
        given = self.given()
        parts = [str(given.pop("level"))] if "level" in given else []
        return " ".join(parts + [f"{name}={value:g}" for name, value in given.items()])
