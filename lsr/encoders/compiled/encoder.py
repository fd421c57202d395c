"""Sparse and joint encoders on the kernels; queries by a table, the documents' model or another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from lsr.encoders.compiled.model import CompiledModel, named_documents, named_queries
from lsr.encoders.config import EncoderConfig
from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.runtime import Runtime, kernels_of
from lsr.encoders.sparse.pruning import for_similarity
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.splitter import PassageSplitter, length_of_passages
from lsr.encoders.text.tokenizer import tokenizer_hash, vocabulary
from lsr.errors import EncoderError
from lsr.types import Document, SparseBatch


class CompiledEncoder:
    """Documents by the kernels. A document's vector depends on its text and the model alone.

    Made by `open_compiled`. dtype: int8 or float32. query: a table, or a model; the documents' own with the settings of
    queries where they share it.
    """

    def __init__(
        self,
        config: EncoderConfig,
        name: str,
        revision: str,
        dtype: str,
        document: CompiledModel,
        query: TableQueryEncoder | CompiledModel,
    ) -> None:
        self.config = config
        self.name = name
        self.revision = revision
        self.dtype = dtype
        self.document = document
        self.query = query
        self._terms = vocabulary(document.tokenizer, document.weights.vocab_size)
        self._tokenizer_hash = tokenizer_hash(document.tokenizer)
        if isinstance(query, CompiledModel) and not _same_terms(query, document, self._terms):
            raise EncoderError(f"{name}: the models of queries and of documents have different vocabularies")

    @property
    def runtime(self) -> Runtime:
        """The compiled kernels: the same bits in every batch and on every processor."""
        return kernels_of(self.dtype)

    @property
    def terms(self) -> Sequence[str]:
        """The tokens by id."""
        return self._terms

    @property
    def tokenizer(self) -> Tokenizer:
        """The documents' tokenizer; only to be read."""
        return self.document.tokenizer

    @property
    def corpus_weighting(self) -> None:
        """None: `encode_documents` gives final weights."""
        return

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder for the manifest, as JSON values."""
        settings = self.config.to_json()
        settings.pop("words", None)
        settings["document"]["max_length"] = self.document.max_length
        by_table = isinstance(self.query, TableQueryEncoder)
        if isinstance(self.query, TableQueryEncoder):
            settings["query"] = {"prompt": self.query.prompt, "max_length": self.query.max_length}
        else:
            settings["query"] = self.config.query_tower.to_json() | {"max_length": self.query.max_length}
        return {
            "kind": self.config.family,
            "name": self.name,
            "revision": self.revision,
            "tokenizer_hash": self._tokenizer_hash,
            "query_side": "table" if by_table else "model",
            "needs_corpus_statistics": False,
            "settings": settings,
        }

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document, title and text together; an empty text gives an empty row.

        Raises EncoderError, naming the document, if the model gives weights that aren't numbers.
        """
        rows = self.document.encode(named_documents(documents), sparse=True, dense=False)[0]
        return for_similarity(rows, self.config.similarity)

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; an empty text gives an empty row."""
        if isinstance(self.query, TableQueryEncoder):
            return self.query.encode_queries(texts)
        rows = self.query.encode(named_queries(texts), sparse=True, dense=False)[0]
        return for_similarity(rows, self.config.similarity)

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read, special ones and prompt among them; None: all."""
        return self.document.max_length

    def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> PassageSplitter:
        """Return a splitter of documents into passages that this encoder reads whole.

        overlap: tokens that two passages share. max_length: tokens of a passage, if fewer than the model reads.
        Raises UsageError if one is out of its range.
        """
        length = length_of_passages(self.name, self.text_length, max_length)
        return PassageSplitter(self.tokenizer, length, overlap=overlap, prompt=self.config.document.prompt)

    def save_query_side(self, folder: Path) -> None:
        """Write the table and its tokenizer to `folder`; nothing where queries need the model itself."""
        if isinstance(self.query, TableQueryEncoder):
            self.query.save(folder)


class JointCompiledEncoder(CompiledEncoder):
    """An encoder that also gives a dense vector of the same pass, of documents and of queries."""

    @property
    def dimension(self) -> int:
        """Numbers of a dense vector."""
        return self.document.weights.dimension

    def encode_documents_jointly(self, documents: Sequence[Document]) -> tuple[SparseBatch, DenseVectors]:
        """Return one sparse and one dense row a document; a text of nothing but white space has empty ones."""
        sparse, dense = self.document.encode(named_documents(documents), sparse=True, dense=True)
        return for_similarity(sparse, self.config.similarity), dense

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one dense row a document."""
        return self.document.encode(named_documents(documents), sparse=False, dense=True)[1]

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one dense row a text."""
        if isinstance(self.query, TableQueryEncoder):
            # A table's queries get their dense vector of the documents' model, prompts and lengths and all.
            named = named_queries(texts, self.query.prompt)
            return self.document.encode(named, sparse=False, dense=True)[1]
        return self.query.encode(named_queries(texts), sparse=False, dense=True)[1]


def _same_terms(query: CompiledModel, document: CompiledModel, terms: Sequence[str]) -> bool:
    same = query.tokenizer is document.tokenizer
    return same or vocabulary(query.tokenizer, query.weights.vocab_size) == terms
