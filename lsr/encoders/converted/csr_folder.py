"""Sparse codes as Sentence-Transformers saves them: a dense model with a SparseAutoEncoder behind it.

Wen et al., "Beyond Matryoshka: Revisiting Sparse Coding for Adaptive Representation" (ICML 2025, arXiv:2503.01776).
Nothing here imports torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.pretrained.module_keys import check_keys
from lsr.encoders.pretrained.sentence_transformers_config import read_model_settings
from lsr.encoders.pretrained.sparse_folder import AUTOENCODER, module_chain, read_json
from lsr.errors import EncoderError, UsageError

if TYPE_CHECKING:
    from lsr.encoders.converted.sparse_codes import SparseAutoencoder

_KEYS = ("input_dim", "hidden_dim", "k", "k_aux", "normalize", "dead_threshold")
_TIED = ("encoder.weight", "decoder.linear.weight")
WEIGHTS = "model.safetensors"
_MODULE = f"sentence_transformers.sparse_encoder.models.{AUTOENCODER}"
_MODULES, _CONFIG = "modules.json", "config_sentence_transformers.json"
_K_AUX, _DEAD_AFTER = 512, 30
"""Values of the library's own, which training alone uses."""


def is_csr(folder: Path) -> bool:
    """Return whether a folder's last module is a SparseAutoEncoder."""
    return (folder / "modules.json").is_file() and module_chain(folder).names[-1:] == (AUTOENCODER,)


def weights_of_csr(folder: Path) -> Path:
    """Return the file with the autoencoder's weights."""
    return module_chain(folder).folders[-1] / WEIGHTS


def read_csr(folder: Path) -> dict[str, Any]:
    """Read the parts of a folder's autoencoder, as `SparseAutoencoder` takes them.

    Raises EncoderError for one that isn't whole, or compares by cosines.
    """
    place = module_chain(folder).folders[-1]
    settings = read_model_settings(folder)
    if settings.similarity == "cosine":
        raise EncoderError(
            f"{folder}: similarity_fn_name is 'cosine', but codes are compared by dot products: set it to 'dot'"
        )
    values: Mapping[str, Any] = read_json(place / "config.json")
    check_keys(place / "config.json", values, known=_KEYS)
    path = place / WEIGHTS
    if not path.is_file():
        raise EncoderError(
            f"{path} is missing: the weights are not there, or pickled; lsr encoder convert {folder} OUT"
        )
    tensors = Tensors(path)
    try:
        # The library ties both layers, and writes their weight under the name of either.
        layer = next((name for name in _TIED if name in tensors), _TIED[0])
        encoder, bias, centre = (
            np.asarray(tensors.get(name), np.float32) for name in (layer, "latent_bias", "pre_bias")
        )
        n_active = settings.max_active_dims or int(values["k"])
        parts = {"encoder": encoder, "bias": bias, "centre": centre, "decoder": encoder}
        return {**parts, "n_active": n_active, "normalise": bool(values.get("normalize"))}
    except (KeyError, TypeError, ValueError) as error:
        raise EncoderError(f"{place} is not as Sentence-Transformers writes a {AUTOENCODER}: {error!r}") from error


def write_csr(folder: Path, autoencoder: SparseAutoencoder, dense: Path) -> None:
    """Write an autoencoder behind the dense model in `dense` to `folder`, as Sentence-Transformers reads it.

    The library ties the decoder to the encoder, which decides the codes alone: those are the same. Raises UsageError
    for codes by matching pursuit, which it doesn't know, and a dense model in another layout, EncoderError for a folder
    that isn't empty.
    """
    from safetensors.numpy import save_file

    if autoencoder.pursuit:
        raise UsageError("codes by matching pursuit need the decoder, but Sentence-Transformers has none of its own")
    if not (dense / _MODULES).is_file():
        raise UsageError(f"{dense} is no Sentence-Transformers folder: there is no {_MODULES}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EncoderError(f"{folder} is not an empty folder: give another, or remove it")
    chain = module_chain(dense)
    modules = json.loads((dense / _MODULES).read_text(encoding="utf-8"))
    place = f"{len(modules)}_{AUTOENCODER}"
    modules.append({"idx": len(modules), "name": str(len(modules)), "path": place, "type": _MODULE})
    folder.mkdir(parents=True, exist_ok=True)
    for module in chain.folders:
        target = folder / module.relative_to(dense)
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(module.iterdir()) if module.is_dir() else []:
            if path.is_file() and path.suffix in (".json", ".safetensors", ".txt", ".model"):
                shutil.copyfile(path, target / path.name)
    config = json.loads((dense / _CONFIG).read_text(encoding="utf-8")) if (dense / _CONFIG).is_file() else {}
    _write(folder / _CONFIG, config | {"model_type": "SparseEncoder", "similarity_fn_name": "dot"})
    _write(folder / _MODULES, modules)
    (folder / place).mkdir()
    values = (autoencoder.dimension, autoencoder.n_codes, autoencoder.n_active, _K_AUX, autoencoder.normalise)
    _write(folder / place / "config.json", dict(zip(_KEYS, (*values, _DEAD_AFTER), strict=True)))
    tensors = {
        _TIED[0]: autoencoder.encoder, "latent_bias": autoencoder.bias, "pre_bias": autoencoder.centre,
        "stats_last_nonzero": np.zeros(autoencoder.n_codes, np.int64),
    }  # fmt: skip
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / place / WEIGHTS)


def _write(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
