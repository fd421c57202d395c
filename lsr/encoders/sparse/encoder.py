"""Learned sparse encoders: one tower for documents, and for queries the same, another, or a table."""

from __future__ import annotations

from collections.abc import Sequence

from lsr.encoders.pretrained.load_model import LoadedTower
from lsr.encoders.runtime import Runtime
from lsr.encoders.sparse.model_encoder import ModelEncoder, Side
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.types import Document, SparseBatch


class NeuralEncoder(ModelEncoder):
    """Documents through a transformer in torch; queries through it, through another, or through a table.

    Made by `load_neural` or `start_encoder`. Arguments: as of `ModelEncoder`.
    """

    document: LoadedTower
    query: LoadedTower | TableQueryEncoder

    @staticmethod
    def side_of(model: LoadedTower) -> Side:
        """Return the facts of a tower that identify its side."""
        return Side(model.backend, model.tower.head.vocab_size, model.max_length)

    @property
    def runtime(self) -> Runtime:
        """The runtime of the documents' model."""
        return self.document.placement.runtime

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document, title and text together; an empty text gives an empty row.

        Raises EncoderError, naming the document, if the model gives weights that aren't numbers.
        """
        rows: SparseBatch = self.document.tower.encode(*texts_of(documents))
        return rows

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; an empty text gives an empty row."""
        if isinstance(self.query, TableQueryEncoder):
            return self.query.encode_queries(texts)
        rows: SparseBatch = self.query.tower.encode(texts, query_names(texts))
        return rows

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read, special ones and prompt among them; None: all."""
        length: int | None = self.document.tower.text_length
        return length


def texts_of(documents: Sequence[Document]) -> tuple[list[str], list[str]]:
    """Return the texts of documents that are encoded, and the documents' names in an error."""
    texts = [document.full_text for document in documents]
    return texts, [f"document {document.doc_id!r}" for document in documents]


def query_names(texts: Sequence[str]) -> list[str]:
    """Return the names of queries in an error."""
    return [f"query {text!r:.80}" for text in texts]
