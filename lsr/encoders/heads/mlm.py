"""The language-model head: every position scores every term of the vocabulary.

SPLADE with sum pooling: Formal et al. (SIGIR 2021, arXiv:2107.05720). With max pooling: SPLADE v2
(arXiv:2109.10086) and all that followed: SPLADE++ (arXiv:2205.04733), SPLADE-v3 (arXiv:2403.06789).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lsr.encoders.activations import ACTIVATIONS
from lsr.encoders.heads.base import Head, TokenStates

CHUNK_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 28}
"""Logits that exist at a time, by device: tokens × terms of one chunk of the vocabulary (16 MiB, 1 GiB)."""

MIN_CHUNK = 64
"""Terms of a chunk at least, so that a matrix product stays one."""


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

    def forward(self, states: TokenStates) -> Tensor:
        """Return the pooled and activated weights, (n_texts, vocab_size)."""
        lengths = states.lengths
        if self.projection is None:
            if self._is_max:
                return self._activation(_segments(states.hidden, "max", lengths).float())
            return _segments(self._activation(states.hidden.float()), "sum", lengths)
        weight, bias = self.projection.weight, self.projection.bias
        if self._is_max:
            return self._activation(pooled_logits(states.hidden, weight, bias, lengths))
        return _chunked(
            states.hidden,
            weight,
            lambda logits, terms: _segments(
                self._activation((logits if bias is None else logits + bias[terms]).float()), "sum", lengths
            ),
        )

    def max_tokens(self, max_logits: int) -> int:
        """Return how many tokens a batch may have: with a projection any number, since its chunks get smaller."""
        return max_logits if self.projection is not None else max_logits // self.vocab_size


def pooled_logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, lengths: Tensor) -> Tensor:
    """Return the largest logit of each text for each term, float32, (n_texts, vocab_size).

    The bias comes after the maximum, which it doesn't change: added once a text, not once a token.
    """
    pooled = _chunked(hidden, weight, lambda logits, _: _segments(logits, "max", lengths))
    return (pooled if bias is None else pooled + bias).float()


def _chunked(hidden: Tensor, weight: Tensor, pool: Callable[[Tensor, slice], Tensor]) -> Tensor:
    elements = CHUNK_ELEMENTS["cuda" if weight.is_cuda else "cpu"]
    step = max(MIN_CHUNK, elements // len(hidden))
    chunks = [slice(start, start + step) for start in range(0, len(weight), step)]
    return torch.cat([pool(hidden @ weight[terms].T, terms) for terms in chunks], dim=1)


def _segments(values: Tensor, reduce: str, lengths: Tensor) -> Tensor:
    return torch.segment_reduce(values, reduce, lengths=lengths, axis=0, unsafe=True)
