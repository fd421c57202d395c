"""Learned sparse encoders: one tower for documents, and for queries the same, another, or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.checkpoints import read_tokenizer_of, special_token_ids
from lsr.encoders.config import EncoderConfig, Pruning, TowerConfig
from lsr.encoders.layout import Layout, read_json, read_layout
from lsr.encoders.loading import LoadedTower, Placement, load_tower
from lsr.encoders.source import Source, locate
from lsr.encoders.table import TableQueryEncoder
from lsr.encoders.tokens import copy_of, tokenizer_hash, vocabulary
from lsr.encoders.tower import Tower
from lsr.errors import EncoderError
from lsr.types import Document, SparseBatch


class NeuralEncoder:
    """Documents through a transformer; queries through it, through another, or through a table.

    Made by `load_neural`. The vocabulary is the tokenizer's, term i being token i.
    """

    def __init__(
        self,
        config: EncoderConfig,
        source: Source,
        revision: str,
        document: LoadedTower,
        query: LoadedTower | TableQueryEncoder,
    ) -> None:
        self.config = config
        self.source = source
        self._revision = revision
        self._document = document
        self._query = query
        self._terms = vocabulary(document.backend, document.tower.head.vocab_size)
        self._tokenizer_hash = tokenizer_hash(document.backend)

    @property
    def terms(self) -> Sequence[str]:
        """The tokens by id."""
        return self._terms

    @property
    def corpus_weighting(self) -> None:
        """None: `encode_documents` gives final weights."""
        return

    @property
    def document_tower(self) -> Tower:
        """The documents' transformer and head, as a torch module."""
        return self._document.tower

    @property
    def query_side(self) -> Tower | TableQueryEncoder:
        """The queries' transformer and head, or their table."""
        return self._query.tower if isinstance(self._query, LoadedTower) else self._query

    @property
    def description(self) -> Mapping[str, Any]:
        """What the manifest says of this encoder, as JSON values."""
        settings = self.config.to_json()
        settings["document"]["max_length"] = self._document.max_length
        if isinstance(self._query, LoadedTower):
            settings["query"] = asdict(self.config.query_tower) | {"max_length": self._query.max_length}
        else:
            settings["query"] = {"prompt": self._query.prompt, "max_length": self._query.max_length}
        return {
            "kind": self.config.family,
            "name": self.source.name,
            "revision": self._revision,
            "tokenizer_hash": self._tokenizer_hash,
            "query_side": "model" if isinstance(self._query, LoadedTower) else "table",
            "needs_corpus_statistics": False,
            "settings": settings,
        }

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document, title and text together; an empty text gives an empty row.

        Raises EncoderError, naming the document, if the model gives weights that aren't numbers.
        """
        texts = [document.full_text for document in documents]
        names = [f"document {document.doc_id!r}" for document in documents]
        batch: SparseBatch = self._document.tower.encode(texts, names)
        return batch

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; an empty text gives an empty row."""
        if isinstance(self._query, TableQueryEncoder):
            return self._query.encode_queries(texts)
        batch: SparseBatch = self._query.tower.encode(texts, [f"query {text!r:.80}" for text in texts])
        return batch

    def save_query_side(self, folder: Path) -> None:
        """Write the table and its tokenizer to `folder`; nothing where queries need the model itself."""
        if isinstance(self._query, TableQueryEncoder):
            self._query.save(folder)


def load_neural(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    max_length: int | None = None,
    top_k: int | None = None,
    threshold: float | None = None,
    device: str | None = None,
    dtype: str | None = None,
    max_tokens: int | None = None,
) -> NeuralEncoder:
    """Load an encoder from a folder or from the Hugging Face hub.

    revision: the hub's commit, branch or tag. max_length: tokens of a document, if fewer than the model takes.
    top_k, threshold: which of a document's weights are kept. device, dtype, max_tokens: as in `Placement.of`.
    Raises EncoderError if it can't be loaded as it was saved.
    """
    source = locate(name_or_path, revision=revision)
    layout = read_layout(source.folder)
    document_config = _with_options(layout.config.document, max_length, top_k, threshold)
    # The options speak of documents, so queries keep the settings that both sides had.
    query_config = layout.config.query_tower if layout.config.query_side == "same" else layout.config.query
    config = replace(layout.config, document=document_config, query=query_config)
    placement = Placement.of(device, dtype, max_tokens)
    document = load_tower(layout.document, config.document, placement)
    query: LoadedTower | TableQueryEncoder
    if config.query_side == "same":
        query = document.sharing(config.query_tower)
    elif config.query_side == "own":
        query = load_tower(_query_folder(layout), config.query_tower, placement)
        if vocabulary(query.backend, query.tower.head.vocab_size) != vocabulary(
            document.backend, document.tower.head.vocab_size
        ):
            raise EncoderError(f"{layout.folder}: the models of queries and of documents have different vocabularies")
    else:
        query = _load_table(layout, config.query_tower, document)
    return NeuralEncoder(config, source, source.commit or layout.revision(), document, query)


def _with_options(
    config: TowerConfig, max_length: int | None, top_k: int | None, threshold: float | None
) -> TowerConfig:
    pruning = Pruning(
        config.pruning.top_k if top_k is None else top_k,
        config.pruning.threshold if threshold is None else threshold,
    )
    return replace(config, max_length=config.max_length if max_length is None else max_length, pruning=pruning)


def _query_folder(layout: Layout) -> Path:
    if layout.query is None:
        raise EncoderError(f"{layout.folder}: the queries' side is missing: the model is not complete")
    return layout.query


def _load_table(layout: Layout, config: TowerConfig, document: LoadedTower) -> TableQueryEncoder:
    vocab_size = document.tower.head.vocab_size
    tokenizer = document.tokenizer
    if layout.config.query_side == "binary":
        weights = np.ones(vocab_size, np.float32)
    else:
        folder = _query_folder(layout)
        tokenizer = read_tokenizer_of(folder)
        if tokenizer_hash(tokenizer.backend_tokenizer) != tokenizer_hash(document.backend):
            raise EncoderError(
                f"{layout.folder}: the tokenizers of queries and of documents differ: the model is broken"
            )
        weights = _read_weights(layout, folder, vocab_size, document)
    weights[special_token_ids(tokenizer)] = 0
    max_length = config.max_length or min(tokenizer.model_max_length, 1 << 20)
    return TableQueryEncoder(copy_of(tokenizer.backend_tokenizer), weights, max_length=max_length, prompt=config.prompt)


def _read_weights(layout: Layout, folder: Path, vocab_size: int, document: LoadedTower) -> npt.NDArray[np.float32]:
    from safetensors.numpy import load_file

    weights = np.zeros(vocab_size, np.float32)
    if layout.table_json is not None:
        ids = document.backend.get_vocab(with_added_tokens=True)
        for token, weight in read_json(layout.table_json).items():
            if token in ids:
                weights[ids[token]] = weight
        return weights
    path = folder / "model.safetensors"
    if not path.is_file():
        raise EncoderError(f"{path} is missing: the query weights are not there, or pickled; save them as safetensors")
    stored = load_file(path).get("weight")
    if stored is None or stored.ndim != 1 or len(stored) > vocab_size:
        raise EncoderError(f"{path} holds no vector of {vocab_size} query weights")
    weights[: len(stored)] = stored
    return weights
