"""Options of a transformer that a training sets: frozen layers, dropout, kind of attention."""

from __future__ import annotations

from typing import Any

from torch import nn

from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.errors import UsageError


def frozen_modules(model: Any, n_layers: int, *, embeddings: bool) -> list[nn.Module]:
    """Return a transformer's lowest layers, and its embeddings of tokens, positions and types.

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


def set_dropout(encoder: NeuralEncoder, dropout: float | None) -> None:
    """Set the probability of all dropout layers; None leaves the model's."""
    if dropout is None:
        return
    for side in (encoder.document, encoder.query):
        for module in getattr(getattr(side, "tower", None), "modules", list)():
            # Attention keeps its probability as a number, not as a layer.
            for name in ("p", "dropout_prob", "attention_dropout"):
                if isinstance(getattr(module, name, None), float):
                    setattr(module, name, dropout)


def choose_attention(encoder: NeuralEncoder, *, precision: str, on_cpu: bool) -> None:
    """Compute attention as products and a softmax in bfloat16 on a CPU, where that is faster.

    There torch's fused attention takes three times as long backward; the whole step gets a sixth faster.
    """
    if not on_cpu or precision != "bfloat16":
        return
    for side in (encoder.document, encoder.query):
        model = getattr(getattr(getattr(side, "tower", None), "backbone", None), "model", None)
        if model is not None and hasattr(model, "set_attn_implementation"):
            model.set_attn_implementation("eager")
