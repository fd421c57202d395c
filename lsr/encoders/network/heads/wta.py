"""The head of a very wide space in which the largest win: winner-take-all, buckets of several layers, binary impacts.

Jang et al., "Ultra-High Dimensional Sparse Representations with Binarization for Efficient Text Retrieval" (UHD, EMNLP
2021, arXiv:2104.07198). Each bucket projects the states of one layer to some ten thousand dimensions, takes the maximum
over positions, and keeps the largest ones. Training sees their scores; in an index each weighs 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lsr.encoders.config import TowerConfig, WideConfig
from lsr.encoders.network.heads.base import Head, HeadKind, TokenStates, register_head
from lsr.encoders.network.heads.max_projection import trainable_largest_logits
from lsr.encoders.network.heads.pooling import largest_logits, rectangle

LEAST = 1e-6
"""Score of a winner of 0 or less, so that every text has as many terms."""


class WinnersHead(Head):
    """Of each bucket the `active` dimensions with the largest scores.

    hidden_size: of one layer; states have those of all buckets' layers side by side.
    """

    def __init__(self, hidden_size: int, config: WideConfig) -> None:
        super().__init__()
        self._config = config
        self._hidden_size = hidden_size
        self.vocab_size = len(config.layers) * config.width
        self.buckets = nn.ModuleList(nn.Linear(hidden_size, config.width) for _ in config.layers)

    @property
    def n_own(self) -> int:
        """0: no term is a token."""
        return 0

    def own_terms(self) -> list[str]:
        """Return a name for each dimension: its layer and number."""
        return [f"[{layer}:{number}]" for layer in self._config.layers for number in range(self._config.width)]

    def forward(self, states: TokenStates) -> Tensor:
        """Return the winners' weights: 1 where they are binary, else their scores."""
        scores = self._scores(states, trained=False)
        kept = self._winners(scores)
        return kept.float() if self._config.binary else scores.clamp(min=LEAST) * kept

    def for_training(self, states: TokenStates, terms: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the winners' scores, also where they will be binary, and the scores of all dimensions."""
        logits = self._scores(states, trained=True)
        weights = logits.clamp(min=LEAST) * self._winners(logits)
        return (weights, logits) if terms is None else (weights[:, terms], logits[:, terms])

    def _scores(self, states: TokenStates, *, trained: bool) -> Tensor:
        largest = trainable_largest_logits if trained else largest_logits
        parts = states.hidden.split(self._hidden_size, 1)
        return torch.cat(
            [
                largest(rectangle(part, states.lengths), bucket.weight, bucket.bias)
                for part, bucket in zip(parts, self.buckets, strict=True)
            ],
            1,
        )

    @torch.no_grad()
    def _winners(self, scores: Tensor) -> Tensor:
        """Return which dimensions win, bool; of equal scores the first ones."""
        by_bucket = scores.unflatten(1, (len(self.buckets), self._config.width))
        order = torch.sort(by_bucket, dim=2, descending=True, stable=True).indices[..., : self._config.active]
        kept = torch.zeros_like(by_bucket, dtype=torch.bool)
        return kept.scatter_(2, order, True).flatten(1)


def _make(backbone: Any, config: TowerConfig) -> WinnersHead:
    assert config.wide is not None
    return WinnersHead(backbone.model.config.hidden_size, config.wide)


register_head(HeadKind("wta", "hidden-states", _make))
