"""Which parts of a transformer stay as they are."""

from __future__ import annotations

from typing import Any

from torch import nn

from lsr.errors import UsageError


def frozen_modules(model: Any, n_layers: int, *, embeddings: bool) -> list[nn.Module]:
    """Return a transformer's lowest layers, and what embeds tokens, positions and types before them.

    model: of `transformers`. Raises UsageError where it has fewer layers, or where they can't be told.
    """
    base = getattr(model, "base_model", model)
    modules: list[nn.Module] = []
    if embeddings:
        modules += [child for name, child in base.named_children() if "emb" in name.lower()]
        token_embeddings = model.get_input_embeddings()
        if not any(token_embeddings is inner for module in modules for inner in module.modules()):
            modules.append(token_embeddings)
    if n_layers:
        layers = _layers(base)
        if n_layers > len(layers):
            raise UsageError(f"config: encoder.freeze_layers is {n_layers}, but the model has {len(layers)} layers")
        modules += list(layers[:n_layers])
    return modules


def _layers(base: Any) -> nn.ModuleList:
    wanted = getattr(base.config, "num_hidden_layers", None)
    found = [module for module in base.modules() if isinstance(module, nn.ModuleList) and len(module) == wanted]
    if not found:
        raise UsageError(f"{type(base).__name__}: its layers can't be told, so encoder.freeze_layers has to be 0")
    return found[0]
