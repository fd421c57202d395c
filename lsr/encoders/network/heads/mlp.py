"""The MLP head: each position scores the token that stands there, and nothing else.

One layer: uniCOIL (Lin and Ma, 2021, arXiv:2106.14807), TILDEv2 (Zhuang and Zuccon, 2021, arXiv:2108.08513), and
DeepCT (Dai and Callan, 2019, arXiv:1910.10687). Two layers: DeepImpact (Mallia et al., SIGIR 2021,
arXiv:2104.12016). Expansion, where these have it, is text that was added to the documents before.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lsr.encoders.config import TowerConfig
from lsr.encoders.network.activations import ACTIVATIONS
from lsr.encoders.network.heads.base import Head, HeadKind, TokenStates, register_head


class MLPHead(Head):
    """A number for each token from its hidden state; a repeated token gets the largest, or the sum."""

    literal_only = True

    def __init__(self, hidden_size: int, vocab_size: int, *, layers: int, activation: str, pooling: str) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        inner = [module for _ in range(layers - 1) for module in (nn.Linear(hidden_size, hidden_size), nn.ReLU())]
        last = nn.Linear(hidden_size, 1)
        nn.init.ones_(last.bias)  # every token begins by weighing about 1: a relu that is dead at the start stays so
        self.layers = nn.Sequential(*inner, last)
        self._activation = ACTIVATIONS[activation]
        self._reduce = "amax" if pooling == "max" else "sum"

    def forward(self, states: TokenStates) -> Tensor:
        """Return the weights of each text's own tokens."""
        return self._by_term(states, self._activation(self._scores(states)), 0.0, self._reduce)

    def for_training(self, states: TokenStates, terms: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the weights, and the pooled logits, −∞ where a term doesn't stand in the text."""
        if self._reduce != "amax":
            return super().for_training(states, terms)
        logits = self._by_term(states, self._scores(states), -torch.inf, "amax")
        logits = logits if terms is None else logits[:, terms]
        return self._activation(logits), logits

    def _scores(self, states: TokenStates) -> Tensor:
        scores: Tensor = self.layers(states.hidden).squeeze(1).float()
        return scores

    def _by_term(self, states: TokenStates, scores: Tensor, empty: float, reduce: str) -> Tensor:
        by_term = torch.full((len(states.lengths) * self.vocab_size,), empty, device=scores.device)
        places = states.rows * self.vocab_size + states.ids
        return by_term.scatter_reduce(0, places, scores, reduce).view(len(states.lengths), self.vocab_size)


def _make(backbone: Any, config: TowerConfig) -> MLPHead:
    of_model = backbone.model.config
    return MLPHead(
        of_model.hidden_size,
        of_model.vocab_size,
        layers=config.mlp_layers,
        activation=config.activation,
        pooling=config.pooling,
    )


register_head(HeadKind("mlp", "hidden-states", _make))
