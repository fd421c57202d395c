"""The interface of heads: the token states they read, the weights they return, and how they become known by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from lsr.encoders.config import HEADS, TowerConfig
from lsr.errors import EncoderError


@dataclass(frozen=True, slots=True)
class TokenStates:
    """The scored positions of a batch of texts, one after the other, without padding.

    hidden: (n_tokens, hidden_size). ids: int64, (n_tokens). literal: bool, (n_tokens), False for special tokens.
    lengths: int64, (n_texts), each above 0; text i's tokens follow those of text i − 1.
    """

    hidden: Tensor
    ids: Tensor
    literal: Tensor
    lengths: Tensor

    @property
    def rows(self) -> Tensor:
        """The text that each token belongs to, int64, (n_tokens)."""
        texts = torch.arange(len(self.lengths), device=self.ids.device)
        return torch.repeat_interleave(texts, self.lengths)


class Head(nn.Module):
    """Gives each text a weight for every term: `forward(states)` → float32, (n_texts, vocab_size), none below 0.

    literal_only: whether only the text's own tokens are scored, special ones not.
    """

    vocab_size: int
    literal_only = False

    def for_training(self, states: TokenStates, terms: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return what `forward` returns, and the logits that the activation made it of, both with a gradient.

        terms: int64, the only terms to be weighed, a column each; None: all. The logits are None where the pooling
        leaves none. In memory and time heads may do better here than by `forward`, which they equal.
        """
        weights: Tensor = self(states)
        return (weights if terms is None else weights[:, terms]), None

    def largest_of_tokens(self, states: TokenStates, kept: int) -> tuple[Tensor, Tensor]:
        """Return the largest weights of each token with a gradient, and their terms, (n_tokens, kept).

        Raises EncoderError for a head that doesn't score all terms at each position.
        """
        del states, kept
        raise EncoderError(
            f"{type(self).__name__} doesn't score all terms at each position: its tokens have no vectors"
        )

    @property
    def n_own(self) -> int:
        """Number of terms that are tokens of the model, the first ones; others are no token of any text."""
        return self.vocab_size

    def own_terms(self) -> list[str] | None:
        """Return the names of all terms where none is a token; None where the tokenizer names them."""
        return None

    def max_tokens(self, max_logits: int) -> int:
        """Return how many tokens a batch may have if at most `max_logits` numbers may stand beside its states."""
        return max_logits

    def own_weights(self) -> dict[str, Tensor]:
        """Return the weights that the head has beside the model's own, to be saved with it."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("projection.")}


def share_weights(source: Head, target: Head) -> None:
    """Let `target` use the very weights that `source` has beside the model's own.

    Raises EncoderError if they are made of other parts.
    """
    names = list(source.own_weights())
    if names != list(target.own_weights()):
        raise EncoderError("queries and documents share a head, so it has to be made of the same parts for both")
    for name in names:
        place, _, leaf = name.rpartition(".")
        setattr(target.get_submodule(place), leaf, getattr(source.get_submodule(place), leaf))


@dataclass(frozen=True, slots=True)
class HeadKind:
    """A head by name: the model that it needs, and the function that makes it.

    name: as `TowerConfig.head` has it. task: of the transformer below it, a key of `transformers_checkpoint.MODELS`.
    make: (backbone, config) → Head. backbone: a `lsr.encoders.network.backbone.Backbone`, whose projection to the
    vocabulary the head may use; for the task "hidden-states", which has none, its `HiddenStates`.
    """

    name: str
    task: str
    make: Callable[[Any, TowerConfig], Head]


_KINDS: dict[str, HeadKind] = {}


def register_head(kind: HeadKind) -> None:
    """Make a head known by its name, which configs may say from now on."""
    _KINDS[kind.name] = kind
    HEADS.setdefault(kind.name, kind.make.__module__)


def head_kind(name: str) -> HeadKind:
    """Return a head by the name that a config gives it."""
    if name not in _KINDS:
        import_module(HEADS[name])
    return _KINDS[name]
