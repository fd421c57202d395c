"""DF-FLOPS: FLOPS with each term's share weighed by how many documents have it.

Porco et al., "An Alternative to FLOPS Regularization to Effectively Productionize SPLADE-Doc" (SIGIR 2025,
arXiv:2505.15070). There the document frequencies are counted on a validation set every hundred steps; here they are a
running mean over the batches, which costs nothing and is never old.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lsr.errors import UsageError
from lsr.training.regularisers.base import Regulariser, TermWeights, mean_weights, register_regulariser


@register_regulariser("df-flops")
class DFFLOPS(Regulariser):
    """Σ_j (a(df_j ÷ N) · mean_i |w_ij|)², with a(x) = 1 ÷ (1 + (x^(log_α 2) − 1)^β).

    alpha: the share of documents at which a is 1/2. beta: how steep it is there.
    memory: share of the old in the running mean of document frequencies.
    """

    def __init__(self, vocab_size: int, *, alpha: float = 0.1, beta: float = 10.0, memory: float = 0.99) -> None:
        super().__init__(vocab_size)
        if not 0 < alpha < 1:
            raise UsageError(f"config: sparsity.….options.alpha is {alpha}, but has to be above 0 and below 1")
        if beta <= 0:
            raise UsageError(f"config: sparsity.….options.beta is {beta}, but has to be above 0")
        if not 0 <= memory < 1:
            raise UsageError(f"config: sparsity.….options.memory is {memory}, but has to be 0 or more, below 1")
        self._shares = torch.zeros(vocab_size)
        self._seen = torch.zeros(vocab_size)
        self._alpha = alpha
        self._beta = beta
        self._memory = memory

    def __call__(self, texts: TermWeights) -> Tensor:
        """Update the document frequencies with the batch, and return the penalty."""
        shares = self._update(texts)
        return texts.sum_over_terms((activation(shares, self._alpha, self._beta) * mean_weights(texts)) ** 2)

    def state(self) -> Mapping[str, Tensor]:
        """Return the document frequencies, as shares, and the weight that they rest on."""
        return {"shares": self._shares.cpu(), "seen": self._seen.cpu()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue with these document frequencies."""
        self._shares, self._seen = state["shares"].clone(), state["seen"].clone()

    @torch.no_grad()
    def _update(self, texts: TermWeights) -> Tensor:
        device = texts.weights.device
        self._shares, self._seen = self._shares.to(device), self._seen.to(device)
        ids = slice(None) if texts.term_ids is None else texts.term_ids
        now = (texts.weights > 0).float().mean(0)
        self._shares[ids] = self._memory * self._shares[ids] + (1 - self._memory) * now
        self._seen[ids] = self._memory * self._seen[ids] + (1 - self._memory)
        return self._shares[ids] / self._seen[ids]  # without the zeros that the mean began with


def activation(shares: Tensor, alpha: float, beta: float) -> Tensor:
    """Return a(x), as `DFFLOPS` has it: 0 at x = 0, 1/2 at alpha, 1 at x = 1."""
    exponent = math.log(2) / math.log(alpha)
    # At 0 the power is infinite, and 1 ÷ (1 + ∞) is the 0 that is wanted.
    weights: Tensor = 1 / (1 + (shares.clamp(0, 1) ** exponent - 1).clamp(min=0) ** beta)
    return weights
