"""Compact weights: large tables as 8-bit integers with one factor a row, everything else in 16 bits.

For bundled models. Rounding to 8 bits a row: Dettmers et al., "LLM.int8()" (NeurIPS 2022,
arXiv:2208.07339), section 2; only the storage is small here, a model computes with what is expanded from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lsr.errors import EncoderError

COMPACT_FILE = "compact.safetensors"
LARGE = 1 << 20
"""Numbers from which on a table is stored in 8 bits."""
_SCALE = ":scale"


def save_compact(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write weights, named, to a file; tensors that share memory must be there once only."""
    stored: dict[str, Tensor] = {}
    for name, value in weights.items():
        value = value.detach().cpu()
        if value.ndim == 2 and value.numel() >= LARGE and value.is_floating_point():
            scale = value.float().abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
            stored[name] = torch.round(value.float() / scale[:, None]).to(torch.int8)
            stored[name + _SCALE] = scale
        else:
            stored[name] = (value.half() if value.is_floating_point() else value).contiguous()
    save_file(stored, path, {"format": "pt"})


def load_compact(path: Path) -> dict[str, Tensor]:
    """Read what `save_compact` wrote, as float32. Raises EncoderError if it can't be."""
    try:
        stored = load_file(path)
    except Exception as error:
        raise EncoderError(f"{path} can't be read: {error}") from error
    weights = {}
    for name, value in stored.items():
        if name.endswith(_SCALE):
            continue
        scale = stored.get(name + _SCALE)
        if scale is not None:
            if scale.shape != value.shape[:1]:
                raise EncoderError(f"{path}: {name} and its scale do not fit each other: the model is broken")
            weights[name] = value.float() * scale[:, None]
        else:
            weights[name] = value.float() if value.is_floating_point() else value
    return weights
