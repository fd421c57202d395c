"""Loading of sparse encoders as they were saved, and starting of new ones from a checkpoint and a config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import torch

from lsr.encoders.config import EncoderConfig
from lsr.encoders.families import family_config
from lsr.encoders.pretrained.hub import locate
from lsr.encoders.pretrained.known_models import remember
from lsr.encoders.pretrained.load_model import LoadedTower, Placement, load_tower, start_tower
from lsr.encoders.pretrained.query_weights import MAX_QUERY_TOKENS, stored_weights, weights_by_token
from lsr.encoders.pretrained.sparse_folder import Layout, read_as, read_json, read_layout, with_options
from lsr.encoders.pretrained.transformers_checkpoint import read_tokenizer_of, special_token_ids
from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.encoders.sparse.joint import JointNeuralEncoder
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.tokenizer import copy_of, tokenizer_hash
from lsr.errors import EncoderError, UsageError


def load_neural(
    name_or_path: str | Path,
    *,
    family: str | None = None,
    plain_family: str | None = None,
    revision: str | None = None,
    max_length: int | None = None,
    top_k: int | None = None,
    threshold: float | None = None,
    device: str | None = None,
    dtype: str | None = None,
    max_tokens: int | None = None,
) -> NeuralEncoder:
    """Load an encoder from a folder or from the Hugging Face hub.

    family: family of a plain checkpoint, which doesn't say it (default: splade); a model that says it is refused.
    plain_family: the same, ignored by a model that says it. revision: commit, branch or tag on the hub.
    max_length: tokens of a document, if fewer than the model takes. top_k, threshold: pruning of a document's weights.
    device, dtype, max_tokens: as of `Placement.of`. Exact words that its config has are not put beside it.
    Raises EncoderError if it can't be loaded as it was saved.
    """
    source = locate(name_or_path, revision=revision)
    layout = read_layout(source.folder)
    layout = read_as(layout, family or (plain_family if layout.is_plain else None))
    placement = Placement.of(device, dtype, max_tokens, cpu_bfloat16=layout.config.cpu_bfloat16)
    config = with_options(layout.config, max_length, top_k, threshold)
    document = load_tower(layout.document, config.document, placement, config.dense)
    query: LoadedTower | TableQueryEncoder
    if config.query_side == "same":
        query = document.sharing(config.query_tower)
    elif config.query_side == "own":
        query = load_tower(_query_folder(layout), config.query_tower, placement)
    else:
        query = _load_table(layout, config, document)
    kind = NeuralEncoder if config.dense is None else JointNeuralEncoder
    revision = source.commit or layout.revision()
    remember(source.name, revision)
    return kind(config, source.name, revision, document, query)


def start_encoder(
    config: EncoderConfig | str,
    document: str | Path,
    *,
    query: str | Path | None = None,
    query_weights: Mapping[str, float] | None = None,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    max_tokens: int | None = None,
) -> NeuralEncoder:
    """Start an encoder from a checkpoint and a config or a family's name, to be trained and saved.

    document, query: folders or hub names of transformers; `query` only where queries have a model of their own.
    query_weights: a table's weights by token, 0 for tokens that it lacks; by default all 1.
    seed: random seed of the heads that the checkpoint lacks.
    """
    if isinstance(config, str):
        config = family_config(config)
    if (config.query_side == "own") != (query is not None):
        raise UsageError(f"encoder: a query model goes with query_side 'own' alone, but it is {config.query_side!r}")
    if query_weights is not None and config.query_side != "table":
        raise UsageError(f"encoder: query weights go with query_side 'table' alone, but it is {config.query_side!r}")
    torch.manual_seed(seed)
    placement = Placement.of(device, dtype, max_tokens)
    document_tower = start_tower(locate(document).folder, config.document, placement, config.dense)
    query_part: LoadedTower | TableQueryEncoder
    if config.query_side == "same":
        query_part = document_tower.sharing(config.query_tower)
    elif query is not None:
        query_part = start_tower(locate(query).folder, config.query_tower, placement)
    else:
        weights = np.ones(document_tower.tower.head.vocab_size, np.float32)
        if query_weights is not None:
            weights = weights_by_token(query_weights, document_tower.backend, len(weights))
        query_part = _table(weights, config, document_tower.tokenizer)
    kind = NeuralEncoder if config.dense is None else JointNeuralEncoder
    return kind(config, config.family, f"unsaved:{uuid4().hex}", document_tower, query_part)


def _query_folder(layout: Layout) -> Path:
    if layout.query is None or not layout.query.is_dir():
        raise EncoderError(f"{layout.folder}: the queries' side is missing: the model is not complete")
    return layout.query


def _load_table(layout: Layout, config: EncoderConfig, document: LoadedTower) -> TableQueryEncoder:
    vocab_size = document.tower.head.vocab_size
    if layout.config.query_side == "binary":
        return _table(np.ones(vocab_size, np.float32), config, document.tokenizer)
    folder = _query_folder(layout)
    tokenizer = read_tokenizer_of(folder)
    if tokenizer_hash(tokenizer.backend_tokenizer) != tokenizer_hash(document.backend):
        raise EncoderError(f"{layout.folder}: the tokenizers of queries and of documents differ: the model is broken")
    if layout.table_json is not None:
        values = read_json(layout.table_json)
        weights = weights_by_token(values, document.backend, vocab_size, place=layout.table_json)
        return _table(weights, config, tokenizer)
    return _table(stored_weights(folder, vocab_size, document.backend.get_vocab_size()), config, tokenizer)


def _table(weights: npt.NDArray[np.float32], config: EncoderConfig, tokenizer: Any) -> TableQueryEncoder:
    weights[special_token_ids(tokenizer)] = 0
    query = config.query_tower
    limits = (query.max_length, tokenizer.model_max_length, MAX_QUERY_TOKENS)
    return TableQueryEncoder(
        copy_of(tokenizer.backend_tokenizer),
        weights,
        max_length=int(min(limit for limit in limits if limit is not None)),
        prompt=query.prompt,
        repeats=config.query_repeats,
    )
