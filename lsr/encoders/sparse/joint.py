"""Joint encoders: one transformer, one pass, a sparse and a dense vector.

Two heads over shared states, as in Chen et al., "BGE M3-Embedding" (2024, arXiv:2402.03216) and Shen et al., "LexMAE"
(ICLR 2023, arXiv:2208.14754): a hybrid search needs no second model.
"""

from __future__ import annotations

from collections.abc import Sequence

from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.pretrained.load_model import LoadedTower
from lsr.encoders.sparse.encoder import NeuralEncoder, query_names, texts_of
from lsr.encoders.sparse.pruning import for_similarity
from lsr.errors import EncoderError
from lsr.types import Document, SparseBatch


class JointNeuralEncoder(NeuralEncoder):
    """A sparse encoder that also gives a dense vector of the same pass."""

    @property
    def dimension(self) -> int:
        """Numbers of a dense vector."""
        head = self.document.tower.dense_head
        if head is None:
            raise EncoderError(f"encoder {self.name} has no dense head")
        return head.dimension

    def encode_documents_jointly(self, documents: Sequence[Document]) -> tuple[SparseBatch, DenseVectors]:
        """Return one sparse and one dense row a document; a text of nothing but white space has empty ones."""
        sparse, dense = self.document.tower.encode_jointly(*texts_of(documents))
        return for_similarity(sparse, self.config.similarity), dense

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one dense row a document."""
        vectors: DenseVectors = self.document.tower.encode_dense(*texts_of(documents))
        return vectors

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one dense row a text."""
        if isinstance(self.query, LoadedTower):
            tower, texts = self.query.tower, list(texts)
        else:
            prompt = self.query.prompt
            tower, texts = self.document.tower, [prompt + text if text.strip() else "" for text in texts]
        vectors: DenseVectors = tower.encode_dense(texts, query_names(texts))
        return vectors
