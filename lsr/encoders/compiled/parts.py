"""The parts of an encoder that the kernels need, read from a model as it was published."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lsr.encoders.compiled import architectures
from lsr.encoders.compiled.read_weights import read_dense_layer, read_weights, weights_file
from lsr.encoders.compiled.weights import DenseLayer, Weights
from lsr.encoders.config import DenseConfig, EncoderConfig, TowerConfig
from lsr.encoders.pretrained.dense_folder import DenseLayout, DenseSettings
from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.pretrained.query_weights import MAX_QUERY_TOKENS, stored_weights, weights_by_token
from lsr.encoders.pretrained.sparse_folder import HEAD_FILE, Layout, read_json
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.tokenizer import check_token_ids, copy_of, read_tokenizer, tokenizer_hash
from lsr.errors import EncoderError

_NO_LIMIT = 1 << 20
_SPECIAL = ("bos_token", "eos_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, slots=True)
class Part:
    """A transformer with its tokenizer. weights: as they are stored. folder: of the files, None for exported ones.

    max_length: tokens that it can read.
    """

    weights: Weights
    tokenizer: Tokenizer
    max_length: int
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class SparseParts:
    """A sparse or joint encoder. query: None where queries share the documents' model."""

    config: EncoderConfig
    document: Part
    query: Part | TableQueryEncoder | None


@dataclass(frozen=True, slots=True)
class DenseParts:
    """A dense encoder."""

    settings: DenseSettings
    model: Part


def why_not_sparse(layout: Layout) -> str | None:
    """Return the part of a sparse model that the kernels can't run, None where they can run it."""
    config = layout.config
    for side, tower, folder in _towers(layout):
        of = "" if side == "document" else f" of queries ({folder})"
        reason = _of_tower(tower) or _of_folder(folder)
        if reason is not None:
            return reason + of
    dense = config.dense
    if dense is not None and dense.shared_layers is not None and dense.shared_layers >= _n_layers(layout.document):
        return f"its dense vector shares {dense.shared_layers} layers of {_n_layers(layout.document)}"
    return None


def why_not_dense(layout: DenseLayout) -> str | None:
    """Return the part of a dense model that the kernels can't run, None where they can run it."""
    return _of_folder(layout.transformer)


def _towers(layout: Layout) -> list[tuple[str, TowerConfig, Path]]:
    towers = [("document", layout.config.document, layout.document)]
    if layout.config.query_side == "same":
        towers.append(("document", layout.config.query_tower, layout.document))
    elif layout.config.query_side == "own":
        towers.append(("query", layout.config.query_tower, _query_folder(layout)))
    return towers


def _of_tower(tower: TowerConfig) -> str | None:
    reasons = {
        f"its head is {tower.head!r}, not 'mlm'": tower.head != "mlm",
        f"its pooling is {tower.pooling!r}, not 'max'": tower.pooling != "max",
        "it reads a text twice": tower.echo,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _of_folder(folder: Path) -> str | None:
    reason = architectures.why_not(read_json(folder / "config.json"))
    if reason is None and weights_file(folder) is None:
        if any(folder.glob("*.bin")) and not any(folder.glob("*.safetensors")):
            return f"its weights are pickled, which lsr encoder convert {folder} OUT mends"
        return "its weights aren't in one safetensors file"
    if reason is None and not (folder / "tokenizer.json").is_file():
        return "its tokenizer has no fast form (tokenizer.json)"
    return reason


def _n_layers(folder: Path) -> int:
    return architectures.settings_of(read_json(folder / "config.json")).n_layers


def read_sparse_parts(layout: Layout) -> SparseParts:
    """Read a model that `why_not_sparse` finds no fault with. Raises EncoderError for files that don't fit together."""
    config = layout.config
    document = _part(layout.document, None, dense=config.dense, with_head=True)
    query: Part | TableQueryEncoder | None = None
    if config.query_side == "own":
        query = _part(_query_folder(layout), None, dense=None, with_head=True)
    elif config.query_side != "same":
        query = _table(layout, config, document)
    return SparseParts(config, document, query)


def read_dense_parts(layout: DenseLayout, settings: DenseSettings) -> DenseParts:
    """Read a model that `why_not_dense` finds no fault with. settings: in place of those that the layout has."""
    layers = []
    for folder in layout.layers:
        config, tensors = read_json(folder / "config.json"), Tensors(folder / "model.safetensors")
        bias = "linear.bias" if config.get("bias", True) else None
        tanh = str(config["activation_function"]).endswith("Tanh")
        layers.append(read_dense_layer(tensors.get, "linear.weight", bias, tanh=tanh))
    model = _part(layout.transformer, settings.max_length, dense=None, with_head=False, layers=layers)
    return DenseParts(replace(settings, max_length=model.max_length), model)


def _part(
    folder: Path,
    max_length: int | None,
    *,
    dense: DenseConfig | None,
    with_head: bool,
    layers: list[DenseLayer] | None = None,
) -> Part:
    branch, layers = None, layers or []
    if dense is not None and (dense.shared_layers is not None or dense.dimension is not None):
        tensors = Tensors(folder / HEAD_FILE)
        if dense.dimension is not None:
            layers = [read_dense_layer(tensors.get, "dense.layers.0.weight", "dense.layers.0.bias", tanh=False)]
        if dense.shared_layers is not None:
            branch = tensors, dense.shared_layers
    weights = read_weights(folder, with_head=with_head, branch=branch, dense=layers)
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    check_token_ids(tokenizer, len(weights.embeddings.words), folder)
    limits = [limit for limit in (_limit(folder), max_length) if limit is not None]
    return Part(weights, tokenizer, min([weights.max_length, *limits]), folder)


def _limit(folder: Path) -> int | None:
    path = folder / "tokenizer_config.json"
    limit = (read_json(path) if path.is_file() else {}).get("model_max_length")
    return None if limit is None or limit >= _NO_LIMIT else int(limit)


def _query_folder(layout: Layout) -> Path:
    if layout.query is None or not layout.query.is_dir():
        raise EncoderError(f"{layout.folder}: the queries' side is missing: the model is not complete")
    return layout.query


def _table(layout: Layout, config: EncoderConfig, document: Part) -> TableQueryEncoder:
    folder = _query_folder(layout) if config.query_side == "table" else layout.document
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    if tokenizer_hash(copy_of(tokenizer)) != tokenizer_hash(document.tokenizer):
        raise EncoderError(f"{layout.folder}: the tokenizers of queries and of documents differ: the model is broken")
    vocab_size = document.weights.vocab_size
    weights = np.ones(vocab_size, np.float32)
    if layout.table_json is not None:
        weights = weights_by_token(read_json(layout.table_json), tokenizer, vocab_size, place=layout.table_json)
    elif config.query_side == "table":
        weights = stored_weights(folder, vocab_size, tokenizer.get_vocab_size())
    weights[_special_ids(folder, tokenizer)] = 0
    query = config.query_tower
    limits = [limit for limit in (query.max_length, _limit(folder), MAX_QUERY_TOKENS) if limit is not None]
    return TableQueryEncoder(
        tokenizer, weights, max_length=min(limits), prompt=query.prompt, repeats=config.query_repeats
    )


def _special_ids(folder: Path, tokenizer: Any) -> list[int]:
    path = folder / "tokenizer_config.json"
    values = read_json(path) if path.is_file() else {}
    names = [value.get("content") if isinstance(value, dict) else value for value in map(values.get, _SPECIAL)]
    ids = [tokenizer.token_to_id(name) for name in names if isinstance(name, str)]
    return sorted({i for i in ids if i is not None})
