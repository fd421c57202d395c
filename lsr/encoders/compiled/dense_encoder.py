"""Dense encoders on the kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lsr.encoders.compiled.model import CompiledModel, named_documents, named_queries
from lsr.encoders.dense.base import DENSE, DenseVectors
from lsr.encoders.pretrained.dense_folder import DenseSettings
from lsr.encoders.runtime import Runtime, kernels_of
from lsr.encoders.text.splitter import PassageSplitter, length_of_passages
from lsr.encoders.text.tokenizer import tokenizer_hash
from lsr.types import Document


@dataclass(frozen=True, slots=True)
class CompiledDenseEncoder:
    """Documents and queries through one model, each with its prompt. Made by `open_dense_compiled`.

    dtype: int8 or float32. document, query: one model, with the prompts of either side.
    """

    name: str
    revision: str
    dtype: str
    settings: DenseSettings
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
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder, as JSON values."""
        return {
            "kind": DENSE,
            "name": self.name,
            "revision": self.revision,
            "tokenizer_hash": tokenizer_hash(self.document.tokenizer),
            "query_side": "model",
            "settings": {**asdict(self.settings), "dimension": self.dimension},
        }

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read, special ones and prompt among them; None: all."""
        return self.settings.max_length

    def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> PassageSplitter:
        """Return a splitter of documents into passages that this encoder reads whole."""
        length = length_of_passages(self.name, self.text_length, max_length)
        prompt = self.settings.document_prompt
        return PassageSplitter(self.document.tokenizer, length, overlap=overlap, prompt=prompt)

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one row a document, title and text together."""
        return self.document.encode(named_documents(documents), sparse=False, dense=True)[1]

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one row a text."""
        return self.query.encode(named_queries(texts), sparse=False, dense=True)[1]
