"""Opening of a model on the integer kernels, without torch or transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lsr.encoders.config import EncoderConfig, Pruning
from lsr.encoders.int8.encoder import IntegerEncoder, JointIntegerEncoder
from lsr.encoders.int8.weights import read_weights, why_not
from lsr.encoders.pretrained.hub import locate
from lsr.encoders.pretrained.known_models import remember
from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.pretrained.sparse_folder import Layout, read_json, read_layout
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.tokenizer import check_token_ids, copy_of, read_tokenizer, tokenizer_hash
from lsr.errors import EncoderError

MAX_QUERY_TOKENS = 1 << 20
"""Tokens that a table reads of a query where its tokenizer sets no limit."""

_NO_LIMIT = 1 << 20
_SPECIAL = ("bos_token", "eos_token", "sep_token", "pad_token", "cls_token", "mask_token")


def open_integer_encoder(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    max_length: int | None = None,
    top_k: int | None = None,
    threshold: float | None = None,
    n_threads: int | None = None,
) -> IntegerEncoder:
    """Open a model of a folder or of a name on the hub.

    revision, max_length, top_k, threshold: as of `lsr.encoders.pretrained.load_encoder.load_neural`. n_threads: as of
    `IntegerEncoder`. Raises EncoderError for a model that the kernels can't run, saying why, or that is broken.
    """
    source = locate(name_or_path, revision=revision)
    layout = read_layout(source.folder)
    reason = why_not(layout)
    if reason is not None:
        raise EncoderError(f"{source.name} can't be encoded in int8: {reason}; leave out dtype int8, which needs torch")
    config = _with_options(layout.config, max_length, top_k, threshold)
    tokenizer = read_tokenizer(layout.document / "tokenizer.json")
    weights = read_weights(layout)
    check_token_ids(tokenizer, len(weights.embeddings.words), layout.document)
    limit = _smallest(_limit(layout.document), len(weights.embeddings.positions), config.document.max_length)
    kind = IntegerEncoder if config.dense is None else JointIntegerEncoder
    query = _table(layout, config, weights.vocab_size, tokenizer_hash(tokenizer))
    found = source.commit or layout.revision()
    remember(source.name, found)
    return kind(config, source.name, found, weights, tokenizer, limit, query, n_threads=n_threads)


def _with_options(
    config: EncoderConfig, max_length: int | None, top_k: int | None, threshold: float | None
) -> EncoderConfig:
    document = config.document
    pruning = Pruning(
        document.pruning.top_k if top_k is None else top_k,
        document.pruning.threshold if threshold is None else threshold,
    )
    length = document.max_length if max_length is None else max_length
    return replace(config, document=replace(document, max_length=length, pruning=pruning))


def _limit(folder: Path) -> int | None:
    path = folder / "tokenizer_config.json"
    limit = (read_json(path) if path.is_file() else {}).get("model_max_length")
    return None if limit is None or limit >= _NO_LIMIT else int(limit)


def _smallest(*limits: int | None) -> int:
    return min(limit for limit in limits if limit is not None)


def _table(layout: Layout, config: EncoderConfig, vocab_size: int, of_documents: str) -> TableQueryEncoder:
    folder = layout.query if layout.query is not None and layout.query.is_dir() else layout.document
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    if tokenizer_hash(copy_of(tokenizer)) != of_documents:
        raise EncoderError(f"{layout.folder}: the tokenizers of queries and of documents differ: the model is broken")
    weights = np.ones(vocab_size, np.float32)
    if config.query_side == "table":
        stored = Tensors(folder / "model.safetensors").get("weight")
        if stored.ndim != 1 or len(stored) > vocab_size:
            raise EncoderError(f"{folder / 'model.safetensors'} holds no vector of {vocab_size} query weights")
        weights[:] = 0
        weights[: len(stored)] = stored
    weights[_special_ids(folder, tokenizer)] = 0
    query = config.query_tower
    return TableQueryEncoder(
        tokenizer,
        weights,
        max_length=_smallest(query.max_length, _limit(folder), MAX_QUERY_TOKENS),
        prompt=query.prompt,
        repeats=config.query_repeats,
    )


def _special_ids(folder: Path, tokenizer: Any) -> list[int]:
    path = folder / "tokenizer_config.json"
    values = read_json(path) if path.is_file() else {}
    names = [value.get("content") if isinstance(value, dict) else value for value in map(values.get, _SPECIAL)]
    ids = [tokenizer.token_to_id(name) for name in names if isinstance(name, str)]
    return sorted({i for i in ids if i is not None})
