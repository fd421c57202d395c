"""Saving of encoders to a folder, in the Sentence-Transformers layout wherever that library has the parts.

Module names are those that every version of it from 5.0 on understands.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from lsr.encoders.config import DOT, Pruning, TowerConfig
from lsr.encoders.pretrained.compact_weights import COMPACT_FILE, save_compact
from lsr.encoders.pretrained.load_model import LoadedTower, own_weights
from lsr.encoders.pretrained.sparse_folder import (
    HEAD_FILE,
    OWN_CONFIG,
    OWN_FORMAT,
    PHRASE_VECTORS_FILE,
    PHRASES_FILE,
    ST_ACTIVATIONS,
)
from lsr.encoders.pretrained.transformers_checkpoint import quietly
from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.phrases import write_phrases
from lsr.errors import EncoderError

_MODELS = "sentence_transformers.sparse_encoder.models"
_ST_NAMES = {ours: theirs for theirs, ours in ST_ACTIVATIONS.items()}


def save_encoder(encoder: NeuralEncoder, folder: Path, *, compact: bool = False) -> None:
    """Write an encoder to `folder`, which may not exist yet, or be empty; `load_encoder` reads it again.

    compact: in few bytes, rounded as `lsr.encoders.pretrained.compact_weights` says, which this program alone reads.
    Raises EncoderError if the folder isn't empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EncoderError(f"{folder} is not an empty folder: give another, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    if not compact and _is_known_to_sentence_transformers(encoder):
        _save_as_sentence_transformers(encoder, folder)
        return
    # The config has each side's length here.
    _save_tower(encoder.document, folder / "document", None, compact=compact)
    if isinstance(encoder.query, TableQueryEncoder):
        if encoder.config.query_side == "table":
            _save_table(encoder.query, encoder.document.tokenizer, folder / "query")
    elif encoder.config.query_side == "own":
        _save_tower(encoder.query, folder / "query", None, compact=compact)
    _write(folder / OWN_CONFIG, {"format": OWN_FORMAT, **encoder.config.to_json()})


def _is_known_to_sentence_transformers(encoder: NeuralEncoder) -> bool:
    query = encoder.query
    config = encoder.config
    if config.dense is not None or config.cpu_bfloat16 or config.words is not None or config.rarity:
        return False
    if config.similarity != DOT:
        return False
    if not _is_splade(encoder.document.tower.config):
        return False
    if isinstance(query, TableQueryEncoder):
        return query.repeats == "once"
    if not _is_splade(query.tower.config):
        return False
    # One transformer has one length there, for both sides.
    return encoder.config.query_side == "own" or query.max_length == encoder.document.max_length


def _is_splade(config: TowerConfig) -> bool:
    return (
        config.head == "mlm"
        and config.expansion == "all"
        and config.pruning == Pruning()
        and not config.repeats
        and (config.activation in _ST_NAMES)
    )


def _save_as_sentence_transformers(encoder: NeuralEncoder, folder: Path) -> None:
    document, query = encoder.document, encoder.query
    config = document.tower.config
    prompts = {"query": encoder.config.query_tower.prompt, "document": config.prompt}
    if isinstance(query, TableQueryEncoder):
        prompts["query"] = query.prompt
    same = isinstance(query, LoadedTower) and query.tower.backbone is document.tower.backbone
    if same and _pooling(query.tower.config) == _pooling(config):  # type: ignore[union-attr]
        _save_tower(document, folder, document.max_length)
        _save_pooling(config, folder / "1_SpladePooling")
        modules = [("", f"{_MODELS}.MLMTransformer"), ("1_SpladePooling", f"{_MODELS}.SpladePooling")]
    else:
        _save_router(document, query, folder)
        modules = [("", "sentence_transformers.models.Router")]
    _write(
        folder / "modules.json",
        [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(modules)],
    )
    _write(
        folder / "config_sentence_transformers.json",
        {"model_type": "SparseEncoder", "prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "dot"},
    )


def _save_router(document: LoadedTower, query: LoadedTower | TableQueryEncoder, folder: Path) -> None:
    kinds: dict[str, str] = {}
    routes: dict[str, list[str]] = {"query": [], "document": []}

    def add(route: str, name: str, kind: str) -> Path:
        kinds[name] = kind
        routes[route].append(name)
        return folder / name

    if isinstance(query, TableQueryEncoder):
        place = add("query", "query_0_SparseStaticEmbedding", f"{_MODELS}.SparseStaticEmbedding")
        _save_table(query, document.tokenizer, place)
    elif query.tower.backbone is document.tower.backbone:
        routes["query"].append("document_0_MLMTransformer")
        _save_pooling(query.tower.config, add("query", "query_1_SpladePooling", f"{_MODELS}.SpladePooling"))
    else:
        place = add("query", "query_0_MLMTransformer", f"{_MODELS}.MLMTransformer")
        _save_tower(query, place, query.max_length)
        _save_pooling(query.tower.config, add("query", "query_1_SpladePooling", f"{_MODELS}.SpladePooling"))
    place = add("document", "document_0_MLMTransformer", f"{_MODELS}.MLMTransformer")
    _save_tower(document, place, document.max_length)
    _save_pooling(document.tower.config, add("document", "document_1_SpladePooling", f"{_MODELS}.SpladePooling"))
    _write(
        folder / "router_config.json",
        {
            "types": kinds,
            "structure": routes,
            "parameters": {"default_route": "document", "allow_empty_key": True},
        },
    )


def _save_tower(loaded: LoadedTower, folder: Path, max_length: int | None, *, compact: bool = False) -> None:
    backbone = loaded.tower.backbone
    model = backbone.whole()
    try:
        with quietly():
            model.save_pretrained(folder)
    finally:
        backbone.cut()
    if compact:
        # As it was saved, tensors that share memory stand there once.
        weights: dict[str, Tensor] = {}
        for path in folder.glob("model*.safetensors*"):
            weights |= load_file(path) if path.suffix == ".safetensors" else {}
            path.unlink()
        save_compact(weights, folder / COMPACT_FILE)
    _save_tokenizer(loaded.tokenizer, max_length, folder)
    if loaded.phrases is not None:
        write_phrases(loaded.phrases.matcher.phrases, folder / PHRASES_FILE)
        save_file({"embeddings": loaded.phrases.embeddings.contiguous()}, folder / PHRASE_VECTORS_FILE)
    own = {name: value.detach().cpu().contiguous() for name, value in own_weights(loaded.tower).items()}
    if own:
        save_file(
            {name: value.half() for name, value in own.items()} if compact else own,
            folder / HEAD_FILE,
            {"format": "pt"},
        )


def _save_table(table: TableQueryEncoder, tokenizer: Any, folder: Path) -> None:
    folder.mkdir()
    weights: npt.NDArray[np.float32] = np.ascontiguousarray(table.weights)
    save_arrays({"weight": weights}, folder / "model.safetensors", {"format": "pt"})
    _write(folder / "config.json", {"frozen": True})
    _save_tokenizer(tokenizer, table.max_length, folder)


def _save_tokenizer(tokenizer: Any, max_length: int | None, folder: Path) -> None:
    tokenizer = copy.deepcopy(tokenizer)
    if max_length is not None:
        tokenizer.model_max_length = max_length
    tokenizer.save_pretrained(folder)


def _save_pooling(config: TowerConfig, folder: Path) -> None:
    folder.mkdir()
    _write(folder / "config.json", _pooling(config))


def _pooling(config: TowerConfig) -> dict[str, str]:
    return {"pooling_strategy": config.pooling, "activation_function": _ST_NAMES[config.activation]}


def _write(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
