"""Fitting of linear layers over dense vectors, so that they rank as a teacher does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lsr.encoders.converted.imitation import Imitation
from lsr.encoders.dense.base import DenseVectors
from lsr.errors import UsageError
from lsr.training.teachers.base import Scores

WARM_DOWN = 0.2


@dataclass(frozen=True, slots=True)
class ImitationSettings:
    """Settings of an imitation.

    size: numbers of its vectors. steps, batch_size, learning_rate: of Adam; the rate falls to 0 over the last fifth.
    temperature: divisor of its cosines. teacher_temperature: divisor of the teacher's scores. seed: of the batches.
    """

    size: int = 384
    steps: int = 1000
    batch_size: int = 64
    learning_rate: float = 1e-3
    temperature: float = 0.05
    teacher_temperature: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for a value out of its range."""
        for name, least in (("size", 1), ("steps", 1), ("batch_size", 2)):
            if getattr(self, name) < least:
                raise UsageError(f"imitation: {name} is {getattr(self, name)}, but has to be {least} or more")
        for name in ("learning_rate", "temperature", "teacher_temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"imitation: {name} is {getattr(self, name)}, but has to be above 0")


def fit_imitation(
    queries: DenseVectors,
    documents: DenseVectors,
    teacher: Callable[[np.ndarray], Scores],
    settings: ImitationSettings | None = None,
    *,
    advance: Callable[[int], None] = lambda n: None,  # noqa: ARG005
) -> Imitation:
    """Fit both layers by the divergence from the teacher's distributions over the documents of each batch.

    queries, documents: vectors of examples, row i of both being one. teacher: returns scores of the examples' queries
    with their documents, (n, n), for the numbers of n examples. advance: called with 1 after each step.
    Raises UsageError for fewer than two examples.
    """
    settings = settings or ImitationSettings()
    if len(queries) != len(documents) or len(queries) < 2:
        raise UsageError(f"imitation: {len(queries)} queries and {len(documents)} documents: give two examples or more")
    random = torch.Generator().manual_seed(settings.seed)
    dimension = queries.shape[1]
    start = torch.eye(settings.size, dimension) + 0.01 * torch.randn(settings.size, dimension, generator=random)
    query, document = nn.Parameter(start.clone()), nn.Parameter(start)
    optimiser = torch.optim.Adam([query, document], lr=settings.learning_rate)
    vectors = torch.from_numpy(np.ascontiguousarray(queries)), torch.from_numpy(np.ascontiguousarray(documents))
    for step in range(settings.steps):
        rate = min(1.0, (settings.steps - step) / (WARM_DOWN * settings.steps))
        optimiser.param_groups[0]["lr"] = rate * settings.learning_rate
        size = min(settings.batch_size, len(queries))
        chosen = torch.randperm(len(queries), generator=random)[:size]
        wanted = torch.from_numpy(np.asarray(teacher(chosen.numpy()), np.float32)) / settings.teacher_temperature
        q, d = (
            nn.functional.normalize(rows[chosen] @ layer.T, dim=1)
            for rows, layer in zip(vectors, (query, document), strict=True)
        )
        found = (q @ d.T / settings.temperature).log_softmax(1)
        loss = nn.functional.kl_div(found, wanted.log_softmax(1), reduction="batchmean", log_target=True)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        advance(1)
    return Imitation(*(layer.detach().numpy().copy() for layer in (query, document)))
