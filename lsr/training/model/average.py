"""Mean of two models' weights: of a model and the one that it was trained further from.

It is often better than either.

Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT, CVPR 2022, arXiv:2109.01903): what a further
training gains on texts like its own, and what it loses on others, are not lost and gained in the same proportion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from lsr.encoders.pretrained.load_model import LoadedTower
from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.errors import UsageError


@dataclass(frozen=True, slots=True)
class Average:
    """Another model to average with. share: of its weights, above 0 and below 1."""

    other: NeuralEncoder
    share: float = field(default=0.5)

    def __post_init__(self) -> None:
        """Raise UsageError for a share out of its range."""
        if not 0 < self.share < 1:
            raise UsageError(f"the share of the other model is {self.share:g}, but has to be above 0 and below 1")


def average(encoder: NeuralEncoder, given: Average) -> None:
    """Change an encoder's weights to the mean with another's. Raises UsageError where their weights don't fit."""
    share = given.share
    ours, theirs = (list(_towers(one)) for one in (encoder, given.other))
    if len(ours) != len(theirs):
        raise UsageError("two models that are averaged need the same parts: one has a model of queries, the other none")
    for tower, other in zip(ours, theirs, strict=True):
        others: dict[str, Tensor] = other.state_dict()
        values: dict[str, Tensor] = tower.state_dict()
        if {name: value.shape for name, value in values.items()} != {n: v.shape for n, v in others.items()}:
            raise UsageError("two models that are averaged need weights of the same names and shapes")
        mixed = set()
        with torch.no_grad():
            for name, value in values.items():
                # Tied weights have two names, and are mixed once.
                if value.is_floating_point() and value.data_ptr() not in mixed:
                    mixed.add(value.data_ptr())
                    value.lerp_(others[name].to(value.dtype), share)
    table, of_other = encoder.query, given.other.query
    if isinstance(table, TableQueryEncoder) and isinstance(of_other, TableQueryEncoder):
        if table.weights.shape != of_other.weights.shape:
            raise UsageError("two models that are averaged need query tables of the same tokens")
        table.weights = ((1 - share) * table.weights + share * of_other.weights).astype(np.float32)


def _towers(encoder: NeuralEncoder) -> Iterator[nn.Module]:
    yield encoder.document.tower
    if isinstance(encoder.query, LoadedTower) and encoder.query is not encoder.document:
        yield encoder.query.tower
