"""Two transformers that share their lower layers: a trunk, and above it one branch for each vector.

The sparse vector's branch is the model itself. The dense vector's begins as a copy of its upper layers, so that
training one leaves the other what it was: a good dense model lends its trunk to a sparse one, and stays whole.
Sharing lower layers between tasks: Caruana, "Multitask Learning" (Machine Learning 28, 1997).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from lsr.errors import EncoderError

# The arguments of the first layer above the trunk, in the thread that asks for them.
_fork: ContextVar[list[tuple[tuple[Any, ...], dict[str, Any]]] | None] = ContextVar("_fork", default=None)


class Branch(nn.Module):
    """The upper layers of a transformer a second time, on the output of its first `shared_layers` layers.

    model: a `transformers` model whose last hidden states are its last layer's output.
    Raises EncoderError if it isn't one, or has too few layers.
    """

    def __init__(self, model: Any, shared_layers: int) -> None:
        super().__init__()
        layers = layers_of(model)
        if not 0 <= shared_layers < len(layers):
            raise EncoderError(f"dense branch: {shared_layers} shared layers, but the model has {len(layers)}")
        self.layers = nn.ModuleList(copy.deepcopy(list(layers[shared_layers:])))
        layers[shared_layers].register_forward_pre_hook(_remember, with_kwargs=True)
        self._refuse_unlike(model)

    def states(self, model: Any, **inputs: Tensor) -> tuple[Any, Tensor]:
        """Run the model once; return its output, and this branch's hidden states (n_texts, length, hidden_size)."""
        seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        token = _fork.set(seen)
        try:
            output = model(**inputs)
        finally:
            _fork.reset(token)
        arguments, options = seen[0]
        hidden, *others = arguments if arguments else (options["hidden_states"],)
        options = {name: value for name, value in options.items() if name != "hidden_states"}
        for layer in self.layers:
            result = layer(hidden, *others, **options)
            hidden = result[0] if isinstance(result, tuple) else result
        return output, hidden

    @torch.no_grad()
    def _refuse_unlike(self, model: Any) -> None:
        ids = torch.tensor([[0, 1]], device=next(model.parameters()).device)
        output, hidden = self.states(model, input_ids=ids, output_hidden_states=True)
        if not torch.allclose(hidden, output.hidden_states[-1], atol=1e-3, rtol=1e-3):
            raise EncoderError(
                f"{type(model).__name__}: something stands behind its last layer, so it can't have a dense branch"
            )


def layers_of(model: Any) -> nn.ModuleList:
    """Return a transformer's layers, first to last. Raises EncoderError if they can't be told."""
    wanted = getattr(model.config, "num_hidden_layers", None)
    found = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == wanted]
    if len(found) != 1:
        raise EncoderError(f"{type(model).__name__}: its layers can't be told apart, so none can be shared or frozen")
    return found[0]


def _remember(layer: nn.Module, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    del layer
    seen = _fork.get()
    if seen is not None:
        seen.append((arguments, dict(options)))
