"""Term-wise budgets: FLOPS with a multiplier for each term, which grows while too many documents have the term.

A term that every document has costs a search a posting list as long as the collection, and tells no documents apart.
The regulariser treats "at most this share of documents has the term" as one constraint a term, and learns its
multipliers by dual ascent, as Lagrangian methods do (Bertsekas, "Constrained Optimization and Lagrange Multiplier
Methods", 1982). Terms within the budget feel FLOPS alone (Paria et al., ICLR 2020, arXiv:2004.05665); DF-FLOPS (Porco
et al., SIGIR 2025, arXiv:2505.15070) has one fixed curve over document frequencies instead.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lsr.errors import UsageError
from lsr.training.regularisers.base import Regulariser, TermWeights, mean_weights, register_regulariser


@register_regulariser("term-budget")
class TermBudget(Regulariser):
    """Σ_j (1 + m_j) · (mean_i |w_ij|)²; m_j grows while too many texts have term j.

    budget: largest share of texts that may have a term. rate: growth of a multiplier in a step, for each budget by
    which the share is beyond; a share below lowers it, down to 0. memory: share of the old in the running mean.
    """

    def __init__(self, vocab_size: int, *, budget: float = 0.1, rate: float = 0.5, memory: float = 0.95) -> None:
        super().__init__(vocab_size)
        if not 0 < budget <= 1:
            raise UsageError(f"config: sparsity.….options.budget is {budget}, but has to be above 0, up to 1")
        if rate <= 0:
            raise UsageError(f"config: sparsity.….options.rate is {rate}, but has to be above 0")
        if not 0 <= memory < 1:
            raise UsageError(f"config: sparsity.….options.memory is {memory}, but has to be 0 or more, below 1")
        self._shares = torch.zeros(vocab_size)
        self._seen = torch.zeros(vocab_size)
        self._multipliers = torch.zeros(vocab_size)
        self._budget = budget
        self._rate = rate
        self._memory = memory

    def __call__(self, texts: TermWeights) -> Tensor:
        """Update shares and multipliers with the batch, and return the penalty."""
        multipliers = self._update(texts)
        return texts.sum_over_terms((1 + multipliers) * mean_weights(texts) ** 2)

    def state(self) -> Mapping[str, Tensor]:
        """Return the shares, the weight that they rest on, and the multipliers."""
        return {
            "shares": self._shares.cpu(),
            "seen": self._seen.cpu(),
            "multipliers": self._multipliers.cpu(),
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from the values of `state`."""
        self._shares, self._seen = state["shares"].clone(), state["seen"].clone()
        self._multipliers = state["multipliers"].clone()

    @torch.no_grad()
    def _update(self, texts: TermWeights) -> Tensor:
        device = texts.weights.device
        self._shares, self._seen = self._shares.to(device), self._seen.to(device)
        self._multipliers = self._multipliers.to(device)
        ids = slice(None) if texts.term_ids is None else texts.term_ids
        now = (texts.weights > 0).float().mean(0)
        self._shares[ids] = self._memory * self._shares[ids] + (1 - self._memory) * now
        self._seen[ids] = self._memory * self._seen[ids] + (1 - self._memory)
        shares = self._shares[ids] / self._seen[ids]  # without the zeros that the mean began with
        beyond = (shares - self._budget) / self._budget
        self._multipliers[ids] = (self._multipliers[ids] + self._rate * beyond).clamp(min=0)
        return self._multipliers[ids]
