"""A transformer cut in two: its hidden states, and the projection to the vocabulary.

Without the cut a model returns logits for each token and each term at once, 15 MiB a token's row of a batch of 128
texts of 256 tokens with 30,522 terms; with it, heads project a chunk of terms at a time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lsr.encoders.network.dense_branch import Branch
from lsr.encoders.text.phrases import PhraseMatcher
from lsr.errors import EncoderError


class PhraseEmbeddings(NamedTuple):
    """Phrases with an embedding each: float32, (n_phrases, dimension)."""

    matcher: PhraseMatcher
    embeddings: Tensor


class _PassThrough(nn.Module):
    """Replaces the projection, so that the model returns the projection's input."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Return `hidden`."""
        return hidden


class HiddenStates(nn.Module):
    """Token ids → a model's last hidden states, for heads that don't ask for its vocabulary.

    phrases: terms beside the model's, for heads that score them. layers: those whose states are returned side by side,
    counted from 1 (default: the last one's). Raises EncoderError for one that the model lacks.
    """

    def __init__(
        self, model: Any, *, phrases: PhraseEmbeddings | None = None, layers: tuple[int, ...] | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.phrases = phrases
        self._layers = layers
        if layers is not None and max(layers) > model.config.num_hidden_layers:
            raise EncoderError(
                f"{type(model).__name__} has {model.config.num_hidden_layers} layers, but a bucket is of layer "
                f"{max(layers)}"
            )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return hidden states, (n_texts, length, hidden_size), those of several layers side by side."""
        if self._layers is not None:
            output = self.model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
            return torch.cat([output.hidden_states[layer] for layer in self._layers], 2)
        hidden: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return hidden

    def both(self, input_ids: Tensor, attention_mask: Tensor, branch: Branch | None) -> tuple[Tensor, Tensor]:
        """Return the hidden states for a sparse head, and those for a dense one: the branch's, if it has one."""
        if branch is not None:
            output, states = branch.states(self.model, input_ids=input_ids, attention_mask=attention_mask)
            return output.last_hidden_state, states
        hidden = self(input_ids, attention_mask)
        return hidden, hidden

    def whole(self) -> Any:
        """Return the model, to be saved."""
        return self.model

    def cut(self) -> None:
        """Do nothing: there is no projection to cut."""


class Backbone(nn.Module):
    """Token ids → the hidden states that the model's vocabulary projection takes.

    model: a `transformers` model with a language-model head, whose projection is taken out and kept in `projection`.
    Where the head computes more than a projection of those states, `projection` is None and the model stays whole:
    its hidden states are then the logits themselves. phrases: terms beside the model's, for heads that score them.
    """

    def __init__(self, model: Any, *, phrases: PhraseEmbeddings | None = None) -> None:
        super().__init__()
        self.model = model
        self.phrases = phrases
        self.projection: nn.Linear | None = None
        self._place: tuple[nn.Module, str] | None = None
        projection = model.get_output_embeddings()
        if isinstance(projection, nn.Linear):
            self._try_cut(projection)

    @property
    def vocab_size(self) -> int:
        """Number of terms that the model scores."""
        return int(self.model.config.vocab_size if self.projection is None else self.projection.out_features)

    @torch.no_grad()  # not inference_mode: what the model keeps from this call may be trained later
    def _try_cut(self, projection: nn.Linear) -> None:
        places = [
            (parent, name)
            for parent in self.model.modules()
            for name, child in parent.named_children()
            if child is projection
        ]
        if len(places) != 1:
            return
        (place,) = places
        ids = torch.tensor([[0, 1]], device=projection.weight.device)
        expected = self.model(input_ids=ids).logits
        setattr(*place, _PassThrough())
        try:
            states = self.model(input_ids=ids).logits
        except (AttributeError, RuntimeError, TypeError):  # it asks the projection for more than to be called
            setattr(*place, projection)
            return
        if states.shape[-1] == projection.in_features and torch.allclose(
            projection(states).float(), expected.float(), atol=1e-3, rtol=1e-3, equal_nan=True
        ):
            self.projection, self._place = projection, place
        else:
            setattr(*place, projection)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return hidden states, (n_texts, length, hidden_size)."""
        hidden: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return hidden

    def both(self, input_ids: Tensor, attention_mask: Tensor, branch: Branch | None) -> tuple[Tensor, Tensor]:
        """Return the hidden states for a sparse head, and those for a dense one (its branch's, or the last layer's)."""
        if branch is not None:
            output, states = branch.states(self.model, input_ids=input_ids, attention_mask=attention_mask)
            return output.logits, states
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
        return output.logits, output.hidden_states[-1]

    def whole(self) -> Any:
        """Return the model as it was, to be saved; `cut` takes the projection out again."""
        if self._place is not None:
            setattr(*self._place, self.projection)
        return self.model

    def cut(self) -> None:
        """Take the projection out again after `whole`."""
        if self._place is not None:
            setattr(*self._place, _PassThrough())
