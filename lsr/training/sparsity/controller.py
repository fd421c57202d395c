"""Controller of the regulariser's weight, which steers the number of active terms to a target.

Active terms respond to the regulariser's weight over several orders of magnitude, and with a delay: so the controller
works on logarithms, with an integral part that finds the weight and a proportional part that damps. Its setpoint is at
first the encoder's number of terms, and falls to the target over a ramp: a step would make it overshoot, and terms
without a logit above 0 have no gradient that brings them back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

LARGEST_ERROR = 1.0
"""Bound of the logarithm of active ÷ wanted: farther off, terms don't respond linearly."""

FIRST_SHARE = 0.01
"""Share of the ranking loss that the weighted penalty has at the first step, whatever their units."""


@dataclass(slots=True)
class SparsityController:
    """Controller of log λ, by `λ = exp(I + damping · e)`, where I grows by `e ÷ horizon` a step.

    e: log(active ÷ wanted). target: active terms a text, above 0. horizon: steps in which λ grows e-fold while e = 1.
    ramp: steps in which the wanted number falls from the first one to the target, evenly on a logarithmic scale.
    smoothing: share of the old in the running mean of e.
    """

    target: float
    horizon: float
    ramp: int
    damping: float = 3.0
    smoothing: float = 0.7
    integral: float | None = None
    error: float = 0.0
    first: float = 0.0
    n_steps: int = 0

    @property
    def weight(self) -> float:
        """Current weight of the regulariser; 0 before `begin`."""
        return 0.0 if self.integral is None else math.exp(self.integral + self.damping * self.error)

    @property
    def wanted(self) -> float:
        """Current setpoint, in active terms."""
        share = min(1.0, self.n_steps / self.ramp) if self.ramp else 1.0
        return math.exp((1 - share) * self.first + share * math.log(self.target))

    @property
    def has_begun(self) -> bool:
        """True after `begin`."""
        return self.integral is not None

    def begin(self, ranking_loss: float, penalty: float, active_terms: float, weight: float | None = None) -> None:
        """Set the first weight (default: the penalty becomes FIRST_SHARE of the ranking loss)."""
        self.integral = math.log(weight or FIRST_SHARE * max(ranking_loss, 1e-6) / max(penalty, 1e-12))
        self.first = math.log(max(active_terms, self.target))

    def update(self, active_terms: float) -> None:
        """Update with a step's mean active terms a text."""
        if self.integral is None:
            return
        error = math.log(max(active_terms, 0.1) / self.wanted)
        error = max(-LARGEST_ERROR, min(LARGEST_ERROR, error))
        self.error = self.smoothing * self.error + (1 - self.smoothing) * error
        self.integral += self.error / self.horizon
        self.n_steps += 1

    def state(self) -> dict[str, float | int | None]:
        """Return the exact state as JSON values."""
        return {"integral": self.integral, "error": self.error, "first": self.first, "n_steps": self.n_steps}

    def load(self, state: Mapping[str, float | int | None]) -> None:
        """Continue from the values of `state`."""
        self.integral = state["integral"]
        self.error, self.first = float(state["error"] or 0), float(state["first"] or 0)
        self.n_steps = int(state["n_steps"] or 0)
