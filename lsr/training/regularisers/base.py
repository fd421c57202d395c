"""What every regulariser is given, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TermWeights:
    """A batch of texts' weights for some of the terms, or for all.

    weights: float32, none below 0, (n_texts, n_terms), with a gradient.
    term_ids: int64, (n_terms), the term of each column; None: column t is term t.
    counts: float32, (n_terms), how many terms of the vocabulary a column stands for, where a random sample stands for
    all; None: one each. With them every sum over terms keeps its expected value (Horvitz and Thompson, 1952).
    logits: what the activation made the weights of, (n_texts, n_terms); None where the pooling keeps none.
    """

    weights: Tensor
    term_ids: Tensor | None = None
    counts: Tensor | None = None
    logits: Tensor | None = None

    def sum_over_terms(self, values: Tensor) -> Tensor:
        """Sum values, (…, n_terms), over all terms of the vocabulary."""
        return values.sum(-1) if self.counts is None else (values * self.counts).sum(-1)

    def active_terms(self) -> Tensor:
        """Return how many terms of each text weigh more than 0, float32, (n_texts), without a gradient."""
        return self.sum_over_terms((self.weights.detach() > 0).float())


class Regulariser:
    """A penalty on one side's weights: called with them, it returns a scalar with a gradient."""

    def __call__(self, texts: TermWeights) -> Tensor:
        """Return the penalty."""
        raise TypeError(f"{type(self).__name__} is no regulariser by itself")

    def state(self) -> Mapping[str, Tensor]:
        """Return what it has learned of the data so far, for a checkpoint; most have nothing."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        del state


def mean_weights(texts: TermWeights) -> Tensor:
    """Return the mean of |w| of each term over the texts, (n_terms)."""
    means: Tensor = torch.abs(texts.weights).mean(0)
    return means
