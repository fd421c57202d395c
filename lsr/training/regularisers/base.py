"""Interface of regularisers: the term weights of a batch in, a penalty out; and their registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from lsr.training.registry import Registry


@dataclass(frozen=True, slots=True)
class TermWeights:
    """Weights of a batch of texts for some of the terms, or for all.

    weights: float32, none below 0, (n_texts, n_terms), with a gradient.
    term_ids: int64, (n_terms), the term of each column; None: column t is term t.
    counts: float32, (n_terms), how many terms of the vocabulary a column stands for, where a random sample stands for
    all; None: one each. With them every sum over terms keeps its expected value (Horvitz and Thompson, 1952).
    logits: inputs of the activation, (n_texts, n_terms); None where the pooling keeps none.
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
    """Penalty on the weights of one side: called with them, it returns a scalar with a gradient.

    Keyword-only parameters of a subclass are its options in a config. vocab_size: number of terms.
    """

    needs_idf_table: ClassVar[bool] = False
    """True if it is for documents whose queries are weighed by a table of inverse document frequencies."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def __call__(self, texts: TermWeights) -> Tensor:
        """Return the penalty."""
        raise TypeError(f"{type(self).__name__} is no regulariser by itself")

    def state(self) -> Mapping[str, Tensor]:
        """Return its statistics of the data so far, for a checkpoint; most have none."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from the values of `state`."""
        del state


REGULARISERS: Registry[type[Regulariser]] = Registry("regulariser", "lsr.training.regularisers")

_Class = TypeVar("_Class", bound=type[Regulariser])


def register_regulariser(name: str) -> Callable[[_Class], _Class]:
    """Register the class below as regulariser `name`."""

    def register(regulariser: _Class) -> _Class:
        REGULARISERS.add(name, regulariser)
        return regulariser

    return register


def mean_weights(texts: TermWeights) -> Tensor:
    """Return the mean of |w| of each term over the texts, (n_terms)."""
    means: Tensor = torch.abs(texts.weights).mean(0)
    return means
