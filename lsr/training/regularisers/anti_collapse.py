"""Penalties against collapse: on texts without any term, and on scores that are all the same.

Where all logits of a text fall below 0 no gradient brings them back, since relu has none there; sparse retrievers
then stay empty. Both terms are hinges, 0 in a healthy training. The second is the variance term of VICReg (Bardes et
al., ICLR 2022, arXiv:2105.04906), on scores.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.errors import UsageError
from lsr.training.regularisers.base import TermWeights


def peak_hinge(texts: TermWeights, *, margin: float = 0.1) -> Tensor:
    """Return mean_i relu(margin − max_j z_ij): lifts the largest logit of a text without terms.

    Raises UsageError for an encoder whose pooling leaves no logits.
    """
    if texts.logits is None:
        raise UsageError("sparsity.collapse.peak needs logits, which only max pooling leaves: set its weight to 0")
    return torch.relu(margin - texts.logits.amax(1)).mean()


def spread_hinge(scores: Tensor, *, floor: float = 1.0) -> Tensor:
    """Return mean_q relu(floor − std_d s(q, d)): spreads the scores of a query, (n_queries, n_documents)."""
    return torch.relu(floor - scores.std(dim=1, correction=0)).mean()
