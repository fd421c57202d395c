"""From a text's hidden states to one dense vector.

Reimers and Gurevych, "Sentence-BERT" (EMNLP 2019, arXiv:1908.10084): the mean of all positions, or the first one's;
decoders give the last one's, which alone has read the whole text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from lsr.encoders.network.dense_branch import Branch


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    weights = mask.unsqueeze(2).float()  # in 16 bits a sum of hundreds of positions, and their number, would be off
    return (hidden * weights).sum(1) / weights.sum(1)


def _first(hidden: Tensor, mask: Tensor) -> Tensor:
    del mask  # texts are padded behind
    return hidden[:, 0]


def _last(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]


def _max(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden.masked_fill(mask.unsqueeze(2) == 0, -torch.inf).amax(1)


POOLINGS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"mean": _mean, "cls": _first, "last": _last, "max": _max}


class DenseHead(nn.Module):
    """Pools hidden states, sends them through `layers`, and brings them to unit length if `normalise`.

    branch: source of the hidden states, if they aren't the last layer's.
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        pooling: str,
        normalise: bool,
        layers: Sequence[nn.Module] = (),
        branch: Branch | None = None,
    ) -> None:
        super().__init__()
        self.branch = branch
        self.layers = nn.Sequential(*layers)
        sizes = [layer.out_features for layer in self.layers if isinstance(layer, nn.Linear)]
        self.dimension = sizes[-1] if sizes else hidden_size
        self._pool = POOLINGS[pooling]
        self._normalise = normalise

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Return float32 (n_texts, dimension) of hidden states (n_texts, length, hidden_size)."""
        pooled = self._pool(hidden, attention_mask)
        vectors: Tensor = (self.layers(pooled.to(hidden.dtype)) if len(self.layers) else pooled).float()
        return nn.functional.normalize(vectors, dim=1) if self._normalise else vectors
