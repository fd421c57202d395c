"""Which logits can be above 0, found with half the bits; only those are then computed in full.

A learned sparse vector keeps about one term in a hundred, but finding which ones costs as much as the smaller
transformers themselves: a product with the whole vocabulary. Processors that multiply bfloat16 natively do that twice
as fast as float32, and how far such a product can be off is bounded: see ERROR. So nothing is lost.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.encoders.heads.pooling import in_chunks, segments

ERROR = 0.0125
"""A bfloat16 product of h and w differs from the exact one by at most ERROR · |h| · |w|.

Rounding h and w is off by 2^-8 each, their products so by 2^-7 + 2^-16, and by Cauchy and Schwarz their sum by that
times |h| · |w|; rounding the sum adds 2^-8 of at most |h| · |w|: together 0.01174. The rest is room for the rounding of
float32 sums of up to 8,192 products, 2^-24 each.
"""

MAX_SHARE = 0.25
"""If more of the logits may be above 0, computing them all is cheaper."""


def is_worthwhile(weight: Tensor) -> bool:
    """Return whether screening pays on this machine: a CPU with bfloat16 instructions, and float32 weights."""
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or weight.shape[1] > 8192:
        return False
    if weight.is_inference():  # whether it has changed can't be told
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


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

    def largest_logits(self, hidden: Tensor, bias: Tensor | None, lengths: Tensor) -> Tensor | None:
        """Return the largest logit of each text for each term where that is above 0, else something not above 0.

        The arguments are those of `pooling.largest_logits`. Returns None if too many may be above 0.
        """
        rough = in_chunks(
            hidden.to(torch.bfloat16), self._rough, lambda logits, _: segments(logits, "max", lengths)
        ).float()
        if bias is not None:
            rough += bias
        lengths_list = lengths.tolist()
        longest = torch.stack([norms.amax() for norms in hidden.norm(dim=1).split(lengths_list)])
        # Written so that what isn't a number passes, and is seen by whoever checks the weights.
        possible = ~(rough <= -ERROR * longest[:, None] * self._norms)
        if int(possible.sum()) > MAX_SHARE * possible.numel():
            return None
        found = torch.zeros_like(rough)
        for row, text, is_possible in zip(found, hidden.split(lengths_list), possible, strict=True):
            terms = torch.nonzero(is_possible).squeeze(1)
            logits = (text @ self._weight[terms].T).amax(0)
            row[terms] = logits if bias is None else logits + bias[terms]
        return found
