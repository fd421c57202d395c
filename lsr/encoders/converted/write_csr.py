"""Writing of sparse codes as Sentence-Transformers reads them: its SparseAutoEncoder behind a dense model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from lsr.encoders.converted.csr_folder import KEYS, TIED, WEIGHTS
from lsr.encoders.converted.sparse_codes import SparseAutoencoder
from lsr.encoders.pretrained.sparse_folder import AUTOENCODER, module_chain
from lsr.errors import EncoderError, UsageError

_MODULE = f"sentence_transformers.sparse_encoder.models.{AUTOENCODER}"
_MODULES, _CONFIG = "modules.json", "config_sentence_transformers.json"
_K_AUX, _DEAD_AFTER = 512, 30
"""The library's defaults, which training alone uses."""


def write_csr(folder: Path, autoencoder: SparseAutoencoder, dense: Path) -> None:
    """Write an autoencoder behind the dense model in `dense` to `folder`, as Sentence-Transformers reads it.

    The library ties the decoder to the encoder, which decides the codes alone: those are the same. Raises UsageError
    for codes by matching pursuit, which it doesn't know, and a dense model in another layout, EncoderError for a folder
    that isn't empty.
    """
    from safetensors.numpy import save_file

    if autoencoder.pursuit:
        raise UsageError("codes by matching pursuit need the decoder, which Sentence-Transformers ties to the encoder")
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
    _write(folder / place / "config.json", dict(zip(KEYS, (*values, _DEAD_AFTER), strict=True)))
    tensors = {
        TIED[0]: autoencoder.encoder, "latent_bias": autoencoder.bias, "pre_bias": autoencoder.centre,
        "stats_last_nonzero": np.zeros(autoencoder.n_codes, np.int64),
    }  # fmt: skip
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / place / WEIGHTS)


def _write(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
