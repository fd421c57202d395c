"""The language-model head: every position scores every term of the vocabulary.

SPLADE with sum pooling: Formal et al. (SIGIR 2021, arXiv:2107.05720). With max pooling: SPLADE v2
(arXiv:2109.10086) and all that followed: SPLADE++ (arXiv:2205.04733), SPLADE-v3 (arXiv:2403.06789).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lsr.encoders.config import TowerConfig
from lsr.encoders.network.activations import ACTIVATIONS
from lsr.encoders.network.heads.base import Head, HeadKind, TokenStates, register_head
from lsr.encoders.network.heads.max_projection import trainable_largest_logits
from lsr.encoders.network.heads.pooling import CHUNK_ELEMENTS, in_chunks, largest_logits, rectangle, segment_sums
from lsr.encoders.network.heads.screening import Screen, is_worthwhile


class MLMHead(Head):
    """Projects hidden states to the vocabulary a chunk of terms at a time, and pools each chunk at once.

    projection: the model's output embeddings; None where the hidden states are the logits already.
    """

    def __init__(self, projection: nn.Linear | None, vocab_size: int, *, activation: str, pooling: str) -> None:
        super().__init__()
        self.projection = projection
        self.vocab_size = vocab_size
        self._activation = ACTIVATIONS[activation]
        self._is_max = pooling == "max"
        self._screen: Screen | None = None
        self._screening = True

    def forward(self, states: TokenStates) -> Tensor:
        """Return the pooled and activated weights, (n_texts, vocab_size)."""
        if not self._is_max:
            return self._sums(states)
        texts = rectangle(states.hidden, states.lengths)
        if self.projection is None:
            return self._activation(texts.amax(1).float())
        weight, bias = self.projection.weight, self.projection.bias
        pooled = self._screened(texts, weight, bias)
        return self._activation(largest_logits(texts, weight, bias) if pooled is None else pooled)

    def for_training(self, states: TokenStates, terms: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the weights of all or of chosen terms, and their pooled logits, None where activated ones are summed.

        Only the chosen rows of the projection are multiplied with.
        """
        if not self._is_max:
            return self._sums(states, terms), None
        texts = rectangle(states.hidden, states.lengths)
        if self.projection is None:
            logits = texts.amax(1).float()
            logits = logits if terms is None else logits[:, terms]
        else:
            weight, bias = _rows(self.projection, terms)
            logits = trainable_largest_logits(texts, weight, bias)
        return self._activation(logits), logits

    def largest_of_tokens(self, states: TokenStates, kept: int) -> tuple[Tensor, Tensor]:
        """Return the largest weights of each token with a gradient, and their terms, (n_tokens, kept).

        Which are the largest is found without a gradient; only their rows of the projection are multiplied again.
        """
        hidden, projection, kept = states.hidden, self.projection, min(kept, self.vocab_size)
        if projection is None:
            values, terms = hidden.float().topk(kept, dim=1)
            return self._activation(values), terms
        weight, bias = projection.weight, projection.bias
        step = max(1, CHUNK_ELEMENTS["cuda" if weight.is_cuda else "cpu"] // self.vocab_size)
        with torch.no_grad():
            logits = (nn.functional.linear(some, weight, bias) for some in hidden.split(step))
            terms = torch.cat([some.float().topk(kept, dim=1).indices for some in logits])
        values = torch.einsum("ti,tki->tk", hidden, weight[terms]).float()
        return self._activation(values if bias is None else values + bias[terms].float()), terms

    def train(self, mode: bool = True) -> MLMHead:
        """Switch between training and encoding; training discards what was prepared for encoding."""
        if mode:
            self._screen, self._screening = None, True
        super().train(mode)
        return self

    def max_tokens(self, max_logits: int) -> int:
        """Return how many tokens a batch may have: with a projection any number, since its chunks get smaller."""
        return max_logits if self.projection is not None else max_logits // self.vocab_size

    def _sums(self, states: TokenStates, terms: Tensor | None = None) -> Tensor:
        def pool(logits: Tensor) -> Tensor:
            return segment_sums(self._activation(logits.float()), states.lengths)

        if self.projection is None:
            return pool(states.hidden if terms is None else states.hidden[:, terms])
        weight, bias = _rows(self.projection, terms)
        return in_chunks(
            states.hidden, weight, lambda logits, chunk: pool(logits if bias is None else logits + bias[chunk])
        )

    def _screened(self, texts: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor | None:
        if not (self._screening and torch.is_inference_mode_enabled() and is_worthwhile(weight)):
            return None
        if self._screen is None or not self._screen.is_of(weight):
            self._screen = Screen(weight)
        pooled = self._screen.largest_logits(texts, bias)
        self._screening = pooled is not None  # a model that isn't sparse won't become so
        return pooled


def _rows(projection: nn.Linear, terms: Tensor | None) -> tuple[Tensor, Tensor | None]:
    weight, bias = projection.weight, projection.bias
    if terms is None:
        return weight, bias
    return weight[terms], None if bias is None else bias[terms]


def _make(backbone: Any, config: TowerConfig) -> MLMHead:
    return MLMHead(backbone.projection, backbone.vocab_size, activation=config.activation, pooling=config.pooling)


register_head(HeadKind("mlm", "masked-LM", _make))
register_head(HeadKind("causal", "causal-LM", _make))
