"""The margin triplet loss: score a positive higher than a negative by a margin.

Schroff et al., "FaceNet" (CVPR 2015, arXiv:1503.03832).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.training.losses.base import ScoredBatch, mean_where, register_loss


@register_loss("margin")
def margin_triplet(batch: ScoredBatch, *, margin: float = 1.0, candidates: str = "own") -> Tensor:
    """Return the mean of relu(margin − s(q, d⁺) + s(q, d⁻)) over all negatives of all queries."""
    return mean_where(torch.relu(margin - batch.positive_scores + batch.scores), batch.negatives(candidates))
