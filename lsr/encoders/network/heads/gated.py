"""The gated head: how important a term is, times whether it is let through.

Bai et al., "SparTerm: Learning Term-based Sparse Representation for Fast Text Retrieval" (2020, arXiv:2010.00768):
an importance predictor over the vocabulary, and a gating controller of the same form whose binary gate lets through
what stands in the text and what it expands it by. There each has a separate transformer; here the gate has a separate
transformation and bias over the importance predictor's transformer and embeddings.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lsr.encoders.config import TowerConfig
from lsr.encoders.network.heads.base import Head, HeadKind, TokenStates, register_head
from lsr.encoders.network.heads.mlm import MLMHead
from lsr.encoders.network.heads.pooling import largest_logits, rectangle
from lsr.errors import EncoderError


class GatedHead(Head):
    """An MLM head's weights where the gate is open.

    It is open where its logit is above 0, or where the term stands in the text.
    """

    def __init__(self, projection: nn.Linear, *, activation: str, pooling: str) -> None:
        super().__init__()
        self.vocab_size = projection.out_features
        self.projection = projection
        self._importance = MLMHead(projection, self.vocab_size, activation=activation, pooling=pooling)
        hidden_size = projection.in_features
        self.gate = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.GELU(), nn.LayerNorm(hidden_size))
        self.gate_bias = nn.Parameter(torch.zeros(self.vocab_size))

    def forward(self, states: TokenStates) -> Tensor:
        """Return the weights of the terms that are let through."""
        weights: Tensor = self._importance(states)
        is_open = self.gate_logits(states) > 0
        is_open[states.rows[states.literal], states.ids[states.literal]] = True
        return weights * is_open

    def gate_logits(self, states: TokenStates) -> Tensor:
        """Return the gate's logits, which train it: the largest of each text's positions, (n_texts, vocab_size)."""
        texts = rectangle(self.gate(states.hidden), states.lengths)
        return largest_logits(texts, self.projection.weight, self.gate_bias)

    def own_weights(self) -> dict[str, Tensor]:
        """Return the gate's weights."""
        return {name: value for name, value in self.state_dict().items() if name.startswith("gate")}


def _make(backbone: Any, config: TowerConfig) -> GatedHead:
    if backbone.projection is None:
        raise EncoderError(f"{type(backbone.model).__name__}: a gated head needs a plain vocabulary projection")
    return GatedHead(backbone.projection, activation=config.activation, pooling=config.pooling)


register_head(HeadKind("gated", "masked-LM", _make))
