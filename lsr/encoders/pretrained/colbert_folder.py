"""Folder layouts of late-interaction models, and their settings. Nothing here imports torch.

- ColBERT's own checkpoints: a BERT with a weight `linear.weight`, and `artifact.metadata` beside it;
- PyLate's: `modules.json` naming a transformer and a linear layer, the rest in `config_sentence_transformers.json`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.encoders.pretrained.sparse_folder import read_json
from lsr.errors import EncoderError

METADATA, SETTINGS, WEIGHTS = "artifact.metadata", "config_sentence_transformers.json", "model.safetensors"
PROJECTION = "linear.weight"
_MODULES = ("sentence_transformers.models.Transformer", "sentence_transformers.base.modules.transformer.Transformer")
_DENSE = "pylate.models.Dense."
_IDENTITY = ("", "Identity")
_ARCHITECTURE = "HF_ColBERT"
"""Name of ColBERT's model in `config.json`."""


@dataclass(frozen=True, slots=True)
class LateSettings:
    """Settings that decide a text's token vectors, beside the weights.

    query_marker, document_marker: second token of a text, which says what it is. query_length,
    document_length: tokens that are read. fills: whether a query is filled up with masks, whose vectors count too.
    attends: whether its tokens read those masks. skipped: words whose vectors are left out of documents.
    """

    query_marker: str
    document_marker: str
    query_length: int = 32
    document_length: int = 180
    fills: bool = True
    attends: bool = False
    skipped: tuple[str, ...] = tuple(string.punctuation)


@dataclass(frozen=True, slots=True)
class LateLayout:
    """A model's parts. projection: the file with its last linear layer, as `linear.weight`."""

    transformer: Path
    projection: Path
    settings: LateSettings


def read_late_layout(folder: Path) -> LateLayout | None:
    """Return the parts of the late-interaction model in `folder`; None if it is none.

    Raises EncoderError for one that isn't as either library writes it.
    """
    try:
        if (folder / METADATA).is_file():
            return _colbert(folder, read_json(folder / METADATA))
        if (folder / "modules.json").is_file():
            return _pylate(folder)
        path = folder / "config.json"
        if path.is_file() and _ARCHITECTURE in (read_json(path).get("architectures") or ()):
            return _colbert(folder, {})
    except (KeyError, TypeError, AttributeError) as error:
        raise EncoderError(f"{folder}: not as ColBERT or PyLate write a late-interaction model: {error!r}") from error
    return None


def _colbert(folder: Path, values: Mapping[str, Any]) -> LateLayout:
    if values.get("similarity", "cosine") != "cosine":
        raise EncoderError(f"{folder}: similarity {values['similarity']!r} is not supported: only cosine")
    settings = LateSettings(
        values.get("query_token_id", "[unused0]"),
        values.get("doc_token_id", "[unused1]"),
        int(values.get("query_maxlen", 32)),
        int(values.get("doc_maxlen", 180)),
        True,
        bool(values.get("attend_to_mask_tokens", False)),
        tuple(string.punctuation) if values.get("mask_punctuation", True) else (),
    )
    return LateLayout(folder, folder / WEIGHTS, settings)


def _pylate(folder: Path) -> LateLayout | None:
    modules = read_json(folder / "modules.json")
    if not any(str(module["type"]).startswith(_DENSE) for module in modules):
        return None
    names = [str(module["type"]) for module in modules]
    if len(names) != 2 or names[0] not in _MODULES:
        raise EncoderError(f"{folder}: modules {', '.join(names)}, but only a Transformer and one Dense are supported")
    transformer, dense = (folder / str(module["path"]) for module in modules)
    if not all(part.resolve().is_relative_to(folder.resolve()) for part in (transformer, dense)):
        raise EncoderError(f"{folder}: a module's folder lies outside the model: refused")
    config: Mapping[str, Any] = read_json(dense / "config.json")
    activation = str(config.get("activation_function") or "").rpartition(".")[2]
    if activation not in _IDENTITY or config.get("bias") or config.get("use_residual"):
        raise EncoderError(f"{dense}: only a linear layer without bias, activation or residual is supported")
    values: Mapping[str, Any] = read_json(folder / SETTINGS)
    skipped = values.get("skiplist_words")
    settings = LateSettings(
        values["query_prefix"],
        values["document_prefix"],
        int(values.get("query_length") or 32),
        int(values.get("document_length") or 180),
        values.get("do_query_expansion") is not False,
        bool(values.get("attend_to_expansion_tokens", False)),
        tuple(string.punctuation) if skipped is None else tuple(skipped),
    )
    return LateLayout(transformer, dense / WEIGHTS, settings)
