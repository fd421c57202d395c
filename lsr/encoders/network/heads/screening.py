"""Screening of logits in bfloat16: only those that can be above 0 are computed in float32.

A learned sparse vector keeps about one term in a hundred, but finding which ones costs as much as the smaller
transformers themselves: a product with the whole vocabulary. Processors that multiply bfloat16 natively do that twice
as fast as float32, and how far such a product can be off is bounded: see ERROR. So nothing is lost.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.encoders.network.cpu_features import multiplies_bfloat16
from lsr.encoders.network.heads.pooling import largest_logits

ERROR = 0.0125
"""A bfloat16 product of h and w differs from the exact one by at most ERROR · |h| · |w|.

Rounding h and w is off by 2^-8 each, their products so by 2^-7 + 2^-16, and by Cauchy and Schwarz their sum by that
times |h| · |w|; rounding the sum adds 2^-8 of at most |h| · |w|: together 0.01174. The rest is room for the rounding of
float32 sums of up to 8,192 products, 2^-24 each.
"""

MAX_SHARE = 0.25
"""If more of the logits may be above 0, computing them all is cheaper."""

EXACT_ELEMENTS = 1 << 25
"""Numbers that exist at a time while possible logits are computed in full (128 MiB)."""


def is_worthwhile(weight: Tensor) -> bool:
    """Return whether screening pays on this machine: a CPU with bfloat16 instructions, and float32 weights."""
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or weight.shape[1] > 8192:
        return False
    if weight.is_inference():  # whether it has changed can't be told
        return False
    return multiplies_bfloat16(weight.device)


class Screen:
    """A vocabulary projection in bfloat16, with the norms of its rows."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        self._version = weight._version
        self._rough = weight.detach().to(torch.bfloat16)
        self._norms = weight.detach().norm(dim=1)

    def is_of(self, weight: Tensor) -> bool:
        """Return whether this was made of these weights, as they now are."""
        return weight is self._weight and weight._version == self._version

    def largest_logits(self, texts: Tensor, bias: Tensor | None) -> Tensor | None:
        """Return the largest logit of each text for each term where that is above 0, else 0 or less.

        The arguments are those of `pooling.largest_logits`. Returns None if too many may be above 0.
        """
        rough = largest_logits(texts.to(torch.bfloat16), self._rough, bias)
        longest = texts.norm(dim=2).amax(1)
        # Written so that what isn't a number passes, and is found by the check of the weights.
        possible = ~(rough <= -ERROR * longest[:, None] * self._norms)
        counts = possible.sum(1)
        if int(counts.sum()) > MAX_SHARE * possible.numel():
            return None
        found = torch.zeros_like(rough)
        widest = max(1, int(counts.max()))
        step = max(1, EXACT_ELEMENTS // (widest * (texts.shape[1] + texts.shape[2])))
        for start in range(0, len(texts), step):
            part = slice(start, start + step)
            self._fill(found[part], texts[part], possible[part], bias)
        return found

    def _fill(self, found: Tensor, texts: Tensor, possible: Tensor, bias: Tensor | None) -> None:
        rows, terms = torch.nonzero(possible, as_tuple=True)
        counts = possible.sum(1)
        places = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows]
        table = torch.zeros(len(texts), int(counts.max()), dtype=torch.int64)
        table[rows, places] = terms
        logits = torch.bmm(texts, self._weight[table].transpose(1, 2)).amax(1)[rows, places]
        found[rows, terms] = logits if bias is None else logits + bias[terms]
