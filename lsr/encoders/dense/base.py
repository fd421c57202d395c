"""What dense encoders offer, and those that give a sparse and a dense vector at once. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.types import Document, SparseBatch

DENSE = "dense"
"""The kind of a dense encoder that is nothing else; a joint one is of its sparse vectors' family."""

DenseVectors = npt.NDArray[np.float32]
"""float32, (n_texts, dimension); a text of nothing but white space has a row of zeros."""


@runtime_checkable
class DenseEncoder(Protocol):
    """Turns documents and queries into vectors whose dot products are scores."""

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""
        ...

    @property
    def description(self) -> Mapping[str, Any]:
        """JSON values that tell this encoder from others, as of a sparse one."""
        ...

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one row a document."""
        ...

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one row a text."""
        ...


def dense_description(encoder: DenseEncoder) -> Mapping[str, Any]:
    """Return what an index says of the encoder of its dense vectors."""
    return {**encoder.description, "dimension": encoder.dimension}


@runtime_checkable
class JointEncoder(DenseEncoder, Encoder, Protocol):
    """Gives both vectors of a text from one pass through one transformer."""

    def encode_documents_jointly(self, documents: Sequence[Document]) -> tuple[SparseBatch, DenseVectors]:
        """Return one sparse and one dense row a document."""
        ...
