"""Dense encoders on the kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from lsr.encoders.compiled.model import CompiledModel, named_documents, named_queries
from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.dense.model_encoder import ModelDenseEncoder
from lsr.encoders.runtime import Runtime, kernels_of
from lsr.types import Document


@dataclass(frozen=True, slots=True)
class CompiledDenseEncoder(ModelDenseEncoder):
    """A dense encoder on the kernels. Made by `open_dense_compiled`.

    dtype: int8 or float32. document, query: one model, with the prompts of either side.
    """

    dtype: str
    document: CompiledModel
    query: CompiledModel

    @property
    def runtime(self) -> Runtime:
        """The compiled kernels: the same bits in every batch and on every processor."""
        return kernels_of(self.dtype)

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""
        return self.document.weights.dimension

    @property
    def tokenizer(self) -> Tokenizer:
        """The documents' tokenizer; only to be read."""
        return self.document.tokenizer

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one row a document, title and text together."""
        return self.document.encode(named_documents(documents), sparse=False, dense=True)[1]

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one row a text."""
        return self.query.encode(named_queries(texts), sparse=False, dense=True)[1]
