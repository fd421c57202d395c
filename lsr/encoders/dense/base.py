"""Protocols of dense encoders, and of joint ones, which give both vectors at once. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.types import Document, SparseBatch

DENSE = "dense"
"""The kind of an encoder that is dense alone; a joint one has the kind of its sparse vectors."""

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
        """Identity of this encoder, as JSON values like a sparse one's."""
        ...

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one row a document."""
        ...

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one row a text."""
        ...


def dense_description(encoder: DenseEncoder) -> Mapping[str, Any]:
    """Return the description of a dense encoder that an index records."""
    return {**encoder.description, "dimension": encoder.dimension}


@runtime_checkable
class JointEncoder(DenseEncoder, Encoder, Protocol):
    """Gives both vectors of a text from one pass through one transformer."""

    def encode_documents_jointly(self, documents: Sequence[Document]) -> tuple[SparseBatch, DenseVectors]:
        """Return one sparse and one dense row a document."""
        ...
