"""Objective of a step: losses, sparsity, and penalties against collapse, with the numbers that are logged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lsr.training.config.config import TrainingConfig
from lsr.training.config.from_config import make_controller, make_losses, make_regulariser
from lsr.training.config.sparsity import SideSettings
from lsr.training.losses.base import ScoredBatch
from lsr.training.regularisers.anti_collapse import peak_hinge, spread_hinge
from lsr.training.regularisers.base import TermWeights
from lsr.training.regularisers.flops import joint_flops
from lsr.training.sparsity.schedules import SCHEDULES

SIDES = ("documents", "queries")


@dataclass(frozen=True, slots=True)
class StepLoss:
    """Loss of a step, with a gradient, and its logged parts: scalars without one, by name."""

    total: Tensor
    parts: Mapping[str, Tensor]


@dataclass(slots=True)
class _Side:
    settings: SideSettings
    regulariser: Any
    controller: Any


class Objective:
    """Losses and sparsity of a config, with the state of controllers and regularisers between steps."""

    def __init__(self, config: TrainingConfig, vocab_size: int) -> None:
        self._losses = make_losses(config)
        self._weights = {name: loss.weight for name, loss in config.loss.items()}
        self._sparsity = config.sparsity
        self._sides: dict[str, _Side] = {}
        for name in SIDES:
            settings: SideSettings | None = getattr(config.sparsity, name)
            if settings is not None:
                regulariser = make_regulariser(settings, vocab_size)
                self._sides[name] = _Side(settings, regulariser, make_controller(settings, config.train.steps))

    def __call__(
        self,
        scored: ScoredBatch,
        queries: TermWeights,
        documents: TermWeights,
        *,
        step: int,
        vector_losses: Mapping[str, Tensor],
        only: Collection[str] | None = None,
    ) -> StepLoss:
        """Return the loss of a batch at a step, counted from 0.

        vector_losses: by name, unweighted. only: names of the losses that learn from this batch (default: all).
        """
        parts: dict[str, Tensor] = {}
        total = torch.zeros((), device=scored.scores.device)
        for name, (weight, loss) in self._losses.items():
            if only is not None and name not in only:
                continue
            parts[name] = loss(scored)
            total = total + weight * parts[name]
        for name, value in vector_losses.items():
            parts[name] = value
            total = total + self._weights[name] * value
        ranking = total.detach()
        for name, texts in (("documents", documents), ("queries", queries)):
            if name in self._sides:
                total = total + self._penalty(name, texts, float(ranking), step, parts)
        if self._sparsity.joint:
            parts["joint"] = joint_flops(queries, documents)
            total = total + self._sparsity.joint * parts["joint"]
        if self._sparsity.collapse.peak:
            parts["peak"] = peak_hinge(documents)
            if queries.logits is not None:
                parts["peak"] = parts["peak"] + peak_hinge(queries)
            total = total + self._sparsity.collapse.peak * parts["peak"]
        if self._sparsity.collapse.spread:
            parts["spread"] = spread_hinge(scored.scores)
            total = total + self._sparsity.collapse.spread * parts["spread"]
        self._measure(queries, documents, parts)
        return StepLoss(total, {"loss": total.detach(), **{key: value.detach() for key, value in parts.items()}})

    def end_step(self, active: Mapping[str, float]) -> None:
        """Update the controllers with a step's mean active terms, by side."""
        for name, side in self._sides.items():
            if side.controller is not None:
                side.controller.update(active[name])

    def weights(self, step: int) -> dict[str, float]:
        """Return the regularisers' weights at a step, by side."""
        return {name: self._weight(side, step) for name, side in self._sides.items()}

    def targets(self) -> dict[str, float]:
        """Return the targets of active terms, of the sides that have one."""
        return {name: side.settings.target for name, side in self._sides.items() if side.settings.target is not None}

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the state of controllers, as JSON values, and of regularisers, as tensors."""
        controllers = {
            name: side.controller.state() for name, side in self._sides.items() if side.controller is not None
        }
        tensors = {
            f"{name}.{key}": value
            for name, side in self._sides.items()
            for key, value in side.regulariser.state().items()
        }
        return controllers, tensors

    def load(self, controllers: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Continue from the values of `state`."""
        for name, side in self._sides.items():
            if side.controller is not None:
                side.controller.load(controllers[name])
            own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
            if own:
                side.regulariser.load(own)

    def _penalty(self, name: str, texts: TermWeights, ranking: float, step: int, parts: dict[str, Tensor]) -> Tensor:
        side = self._sides[name]
        penalty: Tensor = side.regulariser(texts)
        parts[f"{side.settings.regulariser}_{name}"] = penalty
        if side.controller is not None and not side.controller.has_begun:
            side.controller.begin(
                ranking, float(penalty.detach()), float(texts.active_terms().mean()), side.settings.begin
            )
        return penalty * self._weight(side, step)

    def _weight(self, side: _Side, step: int) -> float:
        if side.controller is not None:
            return float(side.controller.weight)
        return (side.settings.weight or 0.0) * SCHEDULES[side.settings.schedule](step, side.settings.ramp)

    @torch.no_grad()
    def _measure(self, queries: TermWeights, documents: TermWeights, parts: dict[str, Tensor]) -> None:
        parts["document_terms"] = documents.active_terms().mean()
        parts["query_terms"] = queries.active_terms().mean()
        shares = [(texts.weights > 0).float().mean(0) for texts in (queries, documents)]
        parts["FLOPS"] = documents.sum_over_terms(shares[0] * shares[1])
