"""Distillation of rankings: match the teachers' distribution over a query's candidates.

KL: Hinton et al. (2015, arXiv:1503.02531); for sparse retrieval SPLADE-v3 (Lassance et al., 2024, arXiv:2403.06789).
Teachers of different kinds together, normalised so that none outweighs the others by its scale: Geng et al., "Towards
Competitive Search Relevance for Inference-Free Learned Sparse Retrievers" (2024, arXiv:2411.04403).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lsr.training.losses.base import SCORES, ScoredBatch, register_loss


@register_loss("kl", teacher=SCORES)
def kl(
    batch: ScoredBatch,
    *,
    scale: float = 1.0,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    candidates: str = "own",
) -> Tensor:
    """Return the mean over queries of KL(softmax(scale · teacher) ‖ softmax(student ÷ temperature)).

    Over the candidates that the teacher has scored. temperature_squared: times the temperature's square, so that the
    gradient keeps its size whatever the temperature (Hinton et al., section 2).
    """
    assert batch.teacher is not None
    mask = batch.candidates(candidates) & ~batch.teacher.isnan()
    wanted = _log_softmax(batch.teacher.nan_to_num() * scale, mask)
    given = _log_softmax(batch.scores / temperature, mask)
    divergence = torch.where(mask, wanted.exp() * (wanted - given), 0)
    return divergence.sum(1).mean() * (temperature**2 if temperature_squared else 1.0)


@register_loss("ensemble", teacher=SCORES, normalises=True)
def ensemble_kl(
    batch: ScoredBatch,
    *,
    scale: float = 30.0,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    candidates: str = "batch",
) -> Tensor:
    """Return `kl` to the teachers' normalised scores, times 30 before the softmax as Geng et al. (2024) have it."""
    return kl(
        batch, scale=scale, temperature=temperature, temperature_squared=temperature_squared, candidates=candidates
    )


def min_max(scores: Tensor, mask: Tensor) -> Tensor:
    """Scale each query's scores to 0 … 1 over the documents of the mask, (n_queries, n_documents); NaN elsewhere.

    Scores that are all the same become 0: such a teacher doesn't rank.
    """
    lowest = torch.where(mask, scores, torch.inf).amin(1, keepdim=True)
    highest = torch.where(mask, scores, -torch.inf).amax(1, keepdim=True)
    spread = highest - lowest
    return torch.where(mask, (scores - lowest) / torch.where(spread > 0, spread, 1), torch.nan)


def combined_scores(
    teachers: Sequence[Tensor], weights: Sequence[float], mask: Tensor, *, normalise: bool = True
) -> Tensor:
    """Return the weighted mean of the teachers' scores, each normalised by `min_max` first.

    teachers: (n_queries, n_documents) each, NaN where one has no score. mask: the candidates, of the same shape.
    Where one teacher has no score of a pair, the mean is NaN: a mean of fewer teachers would be on another scale.
    """
    parts = [min_max(scores, mask & ~scores.isnan()) if normalise else scores for scores in teachers]
    total = torch.stack([part * weight for part, weight in zip(parts, weights, strict=True)]).sum(0)
    return total / sum(weights)


def _log_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Return the log-softmax over the columns of the mask; elsewhere any finite number."""
    return torch.log_softmax(scores.masked_fill(~mask, torch.finfo(scores.dtype).min / 2), dim=1)
