"""Settings of sparsity: the table `[sparsity]` of a config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lsr.errors import UsageError
from lsr.training.config.settings import above, at_least, one_of
from lsr.training.registry import check_options
from lsr.training.regularisers.base import REGULARISERS
from lsr.training.sparsity.schedules import SCHEDULES


@dataclass(frozen=True, slots=True)
class SideSettings:
    """Sparsity of one side: a weight of the regulariser, or a target of active terms a text, which takes precedence.

    schedule, ramp: growth of the weight, over this number of steps; with a target, the steps in which the terms are
    brought to it (default: a third of all, at most 2,000). threshold: of `l0-mask`. options: those of the regulariser.
    horizon: of the controller, steps in which the weight grows e-fold where terms are e times too many (default: a
    twentieth of all steps, within 10 … 500). begin: the controller's first weight.
    """

    regulariser: str = "flops"
    weight: float | None = None
    target: float | None = None
    schedule: str = "constant"
    ramp: int = 0
    threshold: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    horizon: float | None = None
    begin: float | None = None

    def __post_init__(self) -> None:
        one_of(self.regulariser, REGULARISERS.names(), "sparsity.….regulariser")
        one_of(self.schedule, tuple(SCHEDULES), "sparsity.….schedule")
        if self.weight is None and self.target is None:
            raise UsageError("config: sparsity of a side takes a weight, or a target of active terms")
        at_least(self.weight, 0, "sparsity.….weight")
        above(self.target, 0, "sparsity.….target")
        at_least(self.ramp, 0, "sparsity.….ramp")
        above(self.begin, 0, "sparsity.….begin")
        at_least(self.horizon, 1, "sparsity.….horizon")
        check_options(self.regulariser_options, REGULARISERS[self.regulariser], f"sparsity.… {self.regulariser!r}")

    @property
    def regulariser_options(self) -> dict[str, Any]:
        """Options of the regulariser that are set."""
        return self.options | ({} if self.threshold is None else {"threshold": self.threshold})


@dataclass(frozen=True, slots=True)
class CollapseSettings:
    """Weights of the penalties against collapse, see `regularisers.anti_collapse`; 0: not computed."""

    peak: float = 0.0
    spread: float = 0.0

    def __post_init__(self) -> None:
        at_least(self.peak, 0, "sparsity.collapse.peak")
        at_least(self.spread, 0, "sparsity.collapse.spread")


@dataclass(frozen=True, slots=True)
class SparsitySettings:
    """Sparsity of both sides. joint: weight of the joint FLOPS of queries and documents.

    max_terms: the training stops where texts have more on average; min_terms: or fewer; both after `patience` steps.
    sampled_terms: number of terms, of those that no query of the batch has, drawn to stand for all; 0: all are
    computed. For query tables only.
    """

    documents: SideSettings | None = None
    queries: SideSettings | None = None
    joint: float = 0.0
    collapse: CollapseSettings = field(default_factory=CollapseSettings)
    sampled_terms: int = 0
    max_terms: float = 5000.0
    min_terms: float = 0.5
    patience: int = 500

    def __post_init__(self) -> None:
        at_least(self.joint, 0, "sparsity.joint")
        at_least(self.sampled_terms, 0, "sparsity.sampled_terms")
        above(self.max_terms, self.min_terms, "sparsity.max_terms")
        at_least(self.patience, 1, "sparsity.patience")
