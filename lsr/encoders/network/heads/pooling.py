"""Pooling of logits over a text's tokens, a chunk of the vocabulary at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CHUNK_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 28}
"""Logits that exist at a time, by device: tokens × terms of one chunk of the vocabulary. 16 MiB, 1 GiB."""

MIN_CHUNK = 64
"""Terms of a chunk at least, so that a matrix product stays one."""


def rectangle(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Return the tokens of each text in a separate row, (n_texts, longest, hidden_size).

    hidden: (n_tokens, hidden_size). lengths: int64, (n_texts), how many tokens each text has, all above 0.
    Shorter texts repeat their last token, which changes no maximum: so no mask is needed, and a maximum over
    texts is a single operation.
    """
    ends = lengths.cumsum(0)
    within = torch.arange(int(lengths.max()), device=hidden.device)
    return hidden[(ends - lengths)[:, None] + torch.minimum(within[None, :], lengths[:, None] - 1)]


def largest_logits(texts: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the largest logit of each text for each term, float32, (n_texts, vocab_size).

    texts: (n_texts, longest, hidden_size), as `rectangle` gives them. weight: (vocab_size, hidden_size).
    bias: (vocab_size); comes after the maximum, which it doesn't change: added once a text, not once a token.
    """
    pooled = in_chunks(texts.flatten(0, 1), weight, lambda logits, _: logits.unflatten(0, texts.shape[:2]).amax(1))
    return pooled.float() if bias is None else pooled.float() + bias.float()


def in_chunks(hidden: Tensor, weight: Tensor, pool: Callable[[Tensor, slice], Tensor]) -> Tensor:
    """Return `pool(logits, terms)` of one chunk of terms after another, side by side."""
    elements = CHUNK_ELEMENTS["cuda" if weight.is_cuda else "cpu"]
    step = max(MIN_CHUNK, elements // len(hidden))
    chunks = [slice(start, start + step) for start in range(0, len(weight), step)]
    return torch.cat([pool(hidden @ weight[terms].T, terms) for terms in chunks], dim=1)


def segment_sums(values: Tensor, lengths: Tensor) -> Tensor:
    """Return the sum of each text's rows, (n_texts, n_columns)."""
    return torch.segment_reduce(values, "sum", lengths=lengths, axis=0, unsafe=True)
