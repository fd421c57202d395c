"""What every head is given, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class TokenStates:
    """The positions of a batch of texts that count, one after the other, without padding.

    hidden: (n_tokens, hidden_size). ids: int64, (n_tokens). lengths: int64, (n_texts), each above 0;
    text i's tokens follow those of text i − 1.
    """

    hidden: Tensor
    ids: Tensor
    lengths: Tensor

    @property
    def rows(self) -> Tensor:
        """The text that each token belongs to, int64, (n_tokens)."""
        texts = torch.arange(len(self.lengths), device=self.ids.device)
        return torch.repeat_interleave(texts, self.lengths)


class Head(nn.Module):
    """Gives each text a weight for every term: `forward(states)` → float32, (n_texts, vocab_size), none below 0.

    literal_only: whether only the text's own tokens count, special ones not.
    """

    vocab_size: int
    literal_only = False
