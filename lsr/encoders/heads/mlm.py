"""The masked-LM head: every position scores every term of the vocabulary.

SPLADE with sum pooling: Formal et al. (SIGIR 2021, arXiv:2107.05720). With max pooling: SPLADE v2
(arXiv:2109.10086) and all that followed: SPLADE++ (arXiv:2205.04733), SPLADE-v3 (arXiv:2403.06789).
"""

from __future__ import annotations

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
        self._pool = self._pool_max if pooling == "max" else self._pool_sum

    def forward(self, states: TokenStates) -> Tensor:
        """Return the pooled and activated weights, (n_texts, vocab_size)."""
        if self.projection is None:
            return self._pool(states.hidden, None, states.lengths)
        weight, bias = self.projection.weight, self.projection.bias
        elements = CHUNK_ELEMENTS["cuda" if weight.is_cuda else "cpu"]
        step = max(MIN_CHUNK, elements // len(states.ids))
        chunks = [
            self._pool(
                states.hidden @ weight[start : start + step].T,
                None if bias is None else bias[start : start + step],
                states.lengths,
            )
            for start in range(0, self.vocab_size, step)
        ]
        return torch.cat(chunks, dim=1)

    def _pool_max(self, logits: Tensor, bias: Tensor | None, lengths: Tensor) -> Tensor:
        # Bias and activation keep the order of scores, so they come after the maximum: once a text, not once a token.
        pooled = torch.segment_reduce(logits, "max", lengths=lengths, axis=0, unsafe=True)
        return self._activation((pooled if bias is None else pooled + bias).float())

    def _pool_sum(self, logits: Tensor, bias: Tensor | None, lengths: Tensor) -> Tensor:
        weights = self._activation((logits if bias is None else logits + bias).float())
        return torch.segment_reduce(weights, "sum", lengths=lengths, axis=0, unsafe=True)
