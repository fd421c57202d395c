"""Sparse and joint encoders on the kernels; queries by a table, the documents' model or another."""

from __future__ import annotations

from collections.abc import Sequence

from lsr.encoders.compiled.model import CompiledModel, named_documents, named_queries
from lsr.encoders.config import EncoderConfig
from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.runtime import Runtime, kernels_of
from lsr.encoders.sparse.model_encoder import ModelEncoder, Side
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.types import Document, SparseBatch


class CompiledEncoder(ModelEncoder):
    """Documents by the kernels. A document's vector depends on its text and the model alone.

    Made by `open_compiled`. dtype: int8 or float32. query: a table, or a model; the documents' own with the settings of
    queries where they share it. Others: as of `ModelEncoder`.
    """

    document: CompiledModel
    query: CompiledModel | TableQueryEncoder

    def __init__(
        self,
        config: EncoderConfig,
        name: str,
        revision: str,
        dtype: str,
        document: CompiledModel,
        query: TableQueryEncoder | CompiledModel,
    ) -> None:
        super().__init__(config, name, revision, document, query)
        self.dtype = dtype

    @staticmethod
    def side_of(model: CompiledModel) -> Side:
        """Return the facts of a model that identify its side."""
        return Side(model.tokenizer, model.weights.vocab_size, model.max_length)

    @property
    def runtime(self) -> Runtime:
        """The compiled kernels: the same bits in every batch and on every processor."""
        return kernels_of(self.dtype)

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document, title and text together; an empty text gives an empty row.

        Raises EncoderError, naming the document, if the model gives weights that aren't numbers.
        """
        return self.document.encode(named_documents(documents), sparse=True, dense=False)[0]

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; an empty text gives an empty row."""
        if isinstance(self.query, TableQueryEncoder):
            return self.query.encode_queries(texts)
        return self.query.encode(named_queries(texts), sparse=True, dense=False)[0]

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read, special ones and prompt among them; None: all."""
        return self.document.max_length


class JointCompiledEncoder(CompiledEncoder):
    """An encoder that also gives a dense vector of the same pass, of documents and of queries."""

    @property
    def dimension(self) -> int:
        """Numbers of a dense vector."""
        return self.document.weights.dimension

    def encode_documents_jointly(self, documents: Sequence[Document]) -> tuple[SparseBatch, DenseVectors]:
        """Return one sparse and one dense row a document; a text of nothing but white space has empty ones."""
        return self.document.encode(named_documents(documents), sparse=True, dense=True)

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
