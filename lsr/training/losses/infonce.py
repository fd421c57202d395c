"""InfoNCE: the positive against the other queries' positives and hard negatives.

van den Oord et al., "Representation Learning with Contrastive Predictive Coding" (2018, arXiv:1807.03748); in-batch
negatives for retrieval by Karpukhin et al., "Dense Passage Retrieval" (EMNLP 2020, arXiv:2004.04906), and in SPLADE
(arXiv:2107.05720).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.training.losses.base import ScoredBatch, register_loss


@register_loss("infonce")
def infonce(batch: ScoredBatch, *, temperature: float = 1.0, candidates: str = "batch") -> Tensor:
    """Return −log softmax of the positive among a query's candidates, its scores divided by `temperature`."""
    logits = batch.scores / temperature
    logits = logits.masked_fill(~batch.candidates(candidates), -torch.inf)
    return torch.nn.functional.cross_entropy(logits, batch.positives)
