"""Weights of a folder as tensors by name, from safetensors, or from pickled files of which weights alone are read."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lsr.errors import EncoderError

WEIGHTS = "model.safetensors"
PICKLED = (".bin", ".pt", ".pth", ".ckpt")
NOT_WEIGHTS = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")
"""Beginnings of the names of pickled files that a training leaves beside its weights."""
_TIED = ("decoder.weight", "lm_head.weight", "decoder.bias", "lm_head.bias")
"""Ends of the names that the library makes again of the tensors which they share memory with."""


def pickled_files(folder: Path) -> list[Path]:
    """Return the pickled files of weights in a folder, sorted."""
    return sorted(path for path in folder.iterdir() if path.suffix in PICKLED and not path.name.startswith(NOT_WEIGHTS))


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a pickled file, by `torch.load(weights_only=True)`, which runs no code of it.

    Raises EncoderError for a file that holds anything else than tensors by name.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise EncoderError(f"{path}: no file of weights alone, so it isn't read: {reason:.200}") from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if isinstance(found, Tensor):
        found = {"weight": found}
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise EncoderError(f"{path}: {type(found).__name__}; tensors by name were expected")
    return {str(name): value for name, value in found.items()}


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return all tensors of a folder's model, safetensors first. Raises EncoderError where there are none."""
    paths = sorted(folder.glob("model*.safetensors"))
    try:
        parts: Iterator[Mapping[str, Tensor]] = iter([load_file(path) for path in paths])
    except (SafetensorError, OSError) as error:
        raise EncoderError(f"{folder}: its weights can't be read: {error}") from error
    if not paths:
        parts = (read_pickled(path) for path in pickled_files(folder) if path.name.startswith("pytorch_model"))
    found: dict[str, Tensor] = {}
    for part in parts:
        found |= part
    if not found:
        raise EncoderError(f"{folder}: no model*.safetensors and no pytorch_model*.bin: the model is not complete")
    return found


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors; of those that share memory, one that the library ties again is left out."""
    by_place: dict[tuple[int, int, torch.Size], list[str]] = {}
    for name, value in weights.items():
        place = (value.untyped_storage().data_ptr(), value.storage_offset(), value.shape)
        by_place.setdefault(place, []).append(name)
    left_out: set[str] = set()
    for names in by_place.values():
        tied = [name for name in names if name.endswith(_TIED)]
        if len(tied) < len(names):
            left_out |= set(tied)
    kept = {name: value.detach().clone().contiguous() for name, value in weights.items() if name not in left_out}
    save_file(kept, path, {"format": "pt"})
