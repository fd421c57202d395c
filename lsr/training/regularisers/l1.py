"""L1: the sum of weights, whatever the terms.

Zamani et al., "From Neural Re-Ranking to Neural Ranking" (CIKM 2018); on queries in Lassance and Clinchant, "An
Efficiency Study for SPLADE Models" (SIGIR 2022, arXiv:2207.03834), since short queries matter more than even lists.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.training.regularisers.base import Regulariser, TermWeights, register_regulariser


@register_regulariser("l1")
class L1(Regulariser):
    """mean_i Σ_j |w_ij|."""

    def __call__(self, texts: TermWeights) -> Tensor:
        """Return the penalty."""
        return texts.sum_over_terms(torch.abs(texts.weights)).mean()
