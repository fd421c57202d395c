"""Conditions that end a failed training, with messages that name the setting to change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import LsrError
from lsr.training.config.sparsity import SparsitySettings
from lsr.training.run_folder.checkpoints import finished_checkpoints

EMPTY_PATIENCE = 20
"""Steps in a row without terms after which a training ends: no gradient brings them back."""


class TrainingError(LsrError):
    """A training can't continue; the message names cause and remedy."""


def check_numbers(step: int, parts: Mapping[str, float], checkpoints: Path) -> None:
    """Raise TrainingError if a part of the loss isn't a finite number. checkpoints: folder of the run's."""
    bad = [name for name, value in parts.items() if not math.isfinite(value)]
    if bad:
        raise TrainingError(
            f"step {step}: {bad[0]} is {parts[bad[0]]}, so the weights are lost: lower train.learning_rate, raise "
            f"train.warmup, or set train.precision to 'float32', {start_again(checkpoints)}"
        )


def start_again(checkpoints: Path) -> str:
    """Return how to train with other settings, for a message: from the last checkpoint, if there is one."""
    found = finished_checkpoints(checkpoints)
    if not found:
        return "and start again with --overwrite"
    return (
        f"and start again with --overwrite or, in another --output, from the checkpoint of step {found[-1].step:,}: "
        f'encoder.start = "{found[-1].model}", encoder.family = "saved"'
    )


@dataclass(slots=True)
class CollapseGuard:
    """Counter of steps in a row with too few or too many active terms."""

    settings: SparsitySettings
    n_empty: int = 0
    n_full: int = 0

    def check(self, step: int, active: Mapping[str, float]) -> None:
        """Raise TrainingError after too many such steps. active: mean terms a text, by side."""
        fewest, most = min(active.values()), max(active.values())
        self.n_empty = self.n_empty + 1 if fewest < self.settings.min_terms else 0
        self.n_full = self.n_full + 1 if most > self.settings.max_terms else 0
        if self.n_empty >= EMPTY_PATIENCE:
            raise TrainingError(
                f"step {step}: {_side(active, fewest)} have {fewest:.2f} active terms, below sparsity.min_terms "
                f"{self.settings.min_terms:g} for {self.n_empty} steps: the vectors have collapsed; lower the weight "
                "of the regulariser or raise its ramp, set a target, or add sparsity.collapse.peak"
            )
        if self.n_full >= self.settings.patience:
            raise TrainingError(
                f"step {step}: {_side(active, most)} have {most:,.0f} active terms, above sparsity.max_terms "
                f"{self.settings.max_terms:g} for {self.n_full} steps: such vectors are not sparse; raise the weight "
                "of the regulariser, set a target, or raise sparsity.max_terms"
            )

    def state(self) -> dict[str, int]:
        """Return the counts as JSON values."""
        return {"n_empty": self.n_empty, "n_full": self.n_full}

    def load(self, state: Mapping[str, int]) -> None:
        """Continue from the values of `state`."""
        self.n_empty, self.n_full = state["n_empty"], state["n_full"]


def _side(active: Mapping[str, float], value: float) -> str:
    return next(name for name, terms in active.items() if terms == value)
