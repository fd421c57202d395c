"""State of a run beside that of the library's trainer: time, evaluations, the best of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class RunState:
    """State of a run beside that of the library's trainer. seconds: of training, without pauses."""

    seconds: float = 0.0
    best_step: int | None = None
    best_value: float = -math.inf
    n_worse: int = 0
    evaluations: list[dict[str, Any]] = field(default_factory=list)

    def rank(self, step: int, value: float) -> bool:
        """Record the measure after a step; return whether it is the best so far."""
        is_best = value > self.best_value
        if is_best:
            self.best_value, self.best_step, self.n_worse = value, step, 0
        else:
            self.n_worse += 1
        return is_best

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        best = self.best_value if self.best_step is not None else None
        return {
            "seconds": self.seconds,
            "best_step": self.best_step,
            "best_value": best,
            "n_worse": self.n_worse,
            "evaluations": self.evaluations,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from the values of `state`."""
        self.seconds, self.best_step, self.n_worse = state["seconds"], state["best_step"], state["n_worse"]
        self.best_value = -math.inf if state["best_value"] is None else state["best_value"]
        self.evaluations = list(state["evaluations"])
