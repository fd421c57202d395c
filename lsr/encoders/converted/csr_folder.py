"""Sparse codes as Sentence-Transformers saves them: a dense model with a SparseAutoEncoder behind it.

Wen et al., "Beyond Matryoshka: Revisiting Sparse Coding for Adaptive Representation" (ICML 2025, arXiv:2503.01776).
Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.pretrained.module_keys import check_keys
from lsr.encoders.pretrained.sentence_transformers_config import read_model_settings
from lsr.encoders.pretrained.sparse_folder import AUTOENCODER, module_chain, read_json
from lsr.errors import EncoderError

KEYS = ("input_dim", "hidden_dim", "k", "k_aux", "normalize", "dead_threshold")
TIED = ("encoder.weight", "decoder.linear.weight")
WEIGHTS = "model.safetensors"


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
    check_keys(place / "config.json", values, known=KEYS)
    path = place / WEIGHTS
    if not path.is_file():
        raise EncoderError(
            f"{path} is missing: the weights are not there, or pickled; lsr encoder convert {folder} OUT"
        )
    tensors = Tensors(path)
    try:
        # The library ties both layers, and writes their weight under the name of either.
        layer = next((name for name in TIED if name in tensors), TIED[0])
        encoder, bias, centre = (
            np.asarray(tensors.get(name), np.float32) for name in (layer, "latent_bias", "pre_bias")
        )
        n_active = settings.max_active_dims or int(values["k"])
        parts = {"encoder": encoder, "bias": bias, "centre": centre, "decoder": encoder}
        return {**parts, "n_active": n_active, "normalise": bool(values.get("normalize"))}
    except (KeyError, TypeError, ValueError) as error:
        raise EncoderError(f"{place} is not as Sentence-Transformers writes a {AUTOENCODER}: {error!r}") from error
