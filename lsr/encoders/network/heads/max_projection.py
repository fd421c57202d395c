"""The largest logit of each text for each term, with a gradient, in the memory of the result alone.

A maximum passes its gradient to one position. So what has to be remembered of n texts × L positions × C terms is which
position won, n × C numbers, and of those only what the loss asks about: after relu, the active terms. The backward pass
is then no product with the vocabulary but a sum over the active terms, a hundredth of the work.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lsr.encoders.network.heads.pooling import CHUNK_ELEMENTS, MIN_CHUNK

GATHERED = {"cpu": 1 << 22, "cuda": 1 << 26}
"""Numbers that exist at a time in the backward pass, by device: active terms × hidden size. 16 MiB, 256 MiB."""


def trainable_largest_logits(texts: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return what `pooling.largest_logits` returns, float32, (n_texts, n_terms), with a gradient.

    texts: (n_texts, longest, hidden_size), as `pooling.rectangle` gives them. weight: (n_terms, hidden_size).
    bias: (n_terms). Under autocast the product is computed in its type. Where positions tie, the first one wins.
    """
    device = texts.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else texts.dtype
    pooled: Tensor = _LargestLogits.apply(texts, weight, dtype)
    return pooled if bias is None else pooled + bias.float()


class _LargestLogits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, texts: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
        n_texts, longest, _ = texts.shape
        flat = texts.flatten(0, 1).to(dtype)
        largest, positions = [], []
        elements = CHUNK_ELEMENTS["cuda" if weight.is_cuda else "cpu"]
        step = max(MIN_CHUNK, elements // len(flat))
        for chunk in weight.split(step):
            logits = (flat @ chunk.to(dtype).T).view(n_texts, longest, -1)
            values, at = logits.max(1)
            largest.append(values.float())
            positions.append(at.to(torch.int32))
        ctx.save_for_backward(texts, weight, torch.cat(positions, 1))
        return torch.cat(largest, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        texts, weight, positions = ctx.saved_tensors
        wants_texts, wants_weight, _ = ctx.needs_input_grad
        longest, hidden_size = texts.shape[1:]
        flat = texts.detach().flatten(0, 1)
        for_texts = torch.zeros(flat.shape, dtype=torch.float32, device=flat.device) if wants_texts else None
        for_weight = torch.zeros(weight.shape, dtype=torch.float32, device=flat.device) if wants_weight else None
        rows, terms = torch.nonzero(grad, as_tuple=True)
        places = rows * longest + positions[rows, terms]
        strengths = grad[rows, terms].float()
        step = max(1, GATHERED["cuda" if weight.is_cuda else "cpu"] // hidden_size)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            strength = strengths[part, None]
            if for_texts is not None:
                for_texts.index_add_(0, places[part], strength * weight.detach()[terms[part]].float())
            if for_weight is not None:
                for_weight.index_add_(0, terms[part], strength * flat[places[part]].float())
        return (
            None if for_texts is None else for_texts.view(texts.shape).to(texts.dtype),
            None if for_weight is None else for_weight.to(weight.dtype),
            None,
        )
