"""PEFT adapters added to the weights of their models.

LoRA: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (ICLR 2022, arXiv:2106.09685): W + s · B A, with
s = alpha ÷ r, or alpha ÷ √r where it is rank-stabilised (Kalajdzievski, 2023, arXiv:2312.03732).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from lsr.encoders.conversion.weights import read_pickled
from lsr.encoders.pretrained.module_keys import ADAPTER_CONFIG
from lsr.encoders.pretrained.sparse_folder import read_json
from lsr.errors import EncoderError

_PREFIX = "base_model.model."
_FACTOR = re.compile(r"(.+)\.lora_(embedding_)?([AB])(?:\.default)?(?:\.weight)?")
_TIED_BIAS = ".decoder.bias"
_UNSUPPORTED = (
    "use_dora",
    "use_qalora",
    "megatron_config",
    "layer_replication",
    "trainable_token_indices",
    "alora_invocation_tokens",
)
"""Keys of an adapter's config that change its weights in other ways than these."""


def read_adapter(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return an adapter's config and tensors. Raises EncoderError for one of another kind than LoRA."""
    config = dict(read_json(folder / ADAPTER_CONFIG))
    kind = str(config.get("peft_type")).upper()
    if kind != "LORA":
        raise EncoderError(f"{folder}: an adapter of type {kind}, but only LORA can be added: merge it by peft")
    for key in _UNSUPPORTED:
        if config.get(key):
            raise EncoderError(f"{folder}: {key} is {config[key]!r:.60}, which can't be added here: merge it by peft")
    for name in ("adapter_model.safetensors", "adapter_model.bin"):
        path = folder / name
        if path.is_file():
            return config, load_file(path) if path.suffix == ".safetensors" else read_pickled(path)
    raise EncoderError(f"{folder}: no adapter_model.safetensors: the adapter is not complete")


def base_of(folder: Path) -> str:
    """Return the name of an adapter's model. Raises EncoderError where it names none."""
    name = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise EncoderError(f"{folder / ADAPTER_CONFIG} names no model: name it by --base")
    return name


def merged(base: Mapping[str, Tensor], config: Mapping[str, Any], adapter: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a model's weights with an adapter's added. Raises EncoderError where one doesn't fit the other."""
    weights = dict(base)
    factors: dict[tuple[str, bool], dict[str, Tensor]] = {}
    for name, value in adapter.items():
        plain = name.removeprefix(_PREFIX)
        if ".original_module." in plain:  # what a whole trained module has replaced
            continue
        match = _FACTOR.fullmatch(plain)
        if match is not None:
            factors.setdefault((match[1], bool(match[2])), {})[match[3]] = value
            continue
        # A whole module that was trained (modules_to_save), or a bias.
        plain = (
            plain.replace(".modules_to_save.default.", ".")
            .replace(".modules_to_save.", ".")
            .replace(".base_layer.", ".")
        )
        key = _name_in(weights, plain)
        _fit(weights[key], value, name)
        weights[key] = value.to(weights[key].dtype)
    for (module, of_embedding), pair in factors.items():
        if set(pair) != {"A", "B"}:
            raise EncoderError(f"adapter: {module} has factor {''.join(pair)} alone: the adapter is not complete")
        key = _name_in(weights, f"{module}.weight")
        delta = pair["B"].float() @ pair["A"].float() * _scale(config, module, pair["A"].shape[0])
        if of_embedding or config.get("fan_in_fan_out"):
            delta = delta.T
        _fit(weights[key], delta, f"{module}.weight")
        weights[key] = (weights[key].float() + delta).to(weights[key].dtype)
    return weights


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    alpha = float(_of_pattern(config.get("alpha_pattern"), module, config.get("lora_alpha", 8)))
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank


def _of_pattern(patterns: Any, module: str, usual: Any) -> Any:
    for pattern, value in (patterns or {}).items():
        if re.fullmatch(rf"(?:.*\.)?({pattern})", module):
            return value
    return usual


def _name_in(weights: Mapping[str, Tensor], name: str) -> str:
    """Return the name by which a model's weights have an adapter's: the same, or behind the architecture's prefix."""
    if name in weights:
        return name
    if name.endswith(_TIED_BIAS):  # saved under the name of the layer, and of the head that shares it
        return _name_in(weights, name.removesuffix(_TIED_BIAS) + ".bias")
    tail = name.partition(".")[2]
    found = [key for key in weights if key.endswith(f".{name}")] or [key for key in weights if key == tail]
    if len(found) != 1:
        raise EncoderError(
            f"adapter: its weight {name} is of no weight of the model: name the model that it was trained on by --base"
        )
    return found[0]


def _fit(weight: Tensor, value: Tensor, name: str) -> None:
    if weight.shape != value.shape:
        raise EncoderError(
            f"adapter: {name} has shape {tuple(value.shape)}, but the model's {tuple(weight.shape)}: name the "
            "model that it was trained on by --base"
        )
    if not bool(torch.isfinite(value).all()):
        raise EncoderError(f"adapter: {name} holds NaN or infinity")
