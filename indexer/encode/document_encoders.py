"""Encoders of documents: sparse, dense, or both, as two encoders or one pass of a joint one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lsr.encoders.base import Encoder, model_of
from lsr.encoders.dense.base import DenseEncoder, DenseVectors, JointEncoder
from lsr.encoders.runtime import with_runtime
from lsr.indexer.corpus.expansions.reading import Expansions
from lsr.types import Document, SparseBatch


class Vectors(NamedTuple):
    """The vectors of documents, a row each; None for a kind that wasn't asked for."""

    sparse: SparseBatch | None
    dense: DenseVectors | None


@dataclass(frozen=True, slots=True)
class Legs:
    """The encoders of documents. Where both are the same joint encoder, one pass gives both vectors.

    expansions: texts that the sparse encoder reads behind the documents' own; the dense one reads documents alone.
    """

    sparse: Encoder | JointEncoder | None
    dense: DenseEncoder | JointEncoder | None = None
    expansions: Expansions | None = None

    @classmethod
    def of(cls, encoder: Encoder | DenseEncoder | JointEncoder) -> Legs:
        """Return all that an encoder gives."""
        if isinstance(encoder, JointEncoder):
            return cls(encoder, encoder)
        return cls(None, encoder) if isinstance(encoder, DenseEncoder) else cls(encoder)

    @property
    def models(self) -> Legs:
        """The models alone, whose vectors depend on a document alone and can be kept."""
        legs: list[Any] = [None if leg is None else model_of(leg) for leg in (self.sparse, self.dense)]
        return Legs(legs[0], legs[1], self.expansions)

    @property
    def is_empty(self) -> bool:
        """True if there is no encoder."""
        return self.sparse is None and self.dense is None

    @property
    def joint(self) -> JointEncoder | None:
        """The encoder that gives both vectors in one pass, None where there are two, or one leg."""
        sparse: object = self.sparse
        apart = self.expansions is not None or sparse is not self.dense
        return self.dense if isinstance(self.dense, JointEncoder) and not apart else None

    @property
    def description(self) -> Mapping[str, Any]:
        """The description that identifies these encoders and their runtimes; of a single one its own."""
        of_dense = None if self.dense is None else with_runtime(self.dense.description, self.dense)
        if self.sparse is None or self.joint is not None:
            return of_dense or {}
        of_sparse = with_runtime(self.sparse.description, self.sparse)
        return of_sparse if of_dense is None else {**of_sparse, "dense": of_dense}

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that the encoder reads that reads most; None: all."""
        lengths: list[Any] = [getattr(leg, "text_length", None) for leg in (self.sparse, self.dense) if leg is not None]
        return None if None in lengths else max(lengths, default=None)

    def read_by_sparse(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Return documents as the sparse encoder reads them, with their expansions."""
        return documents if self.expansions is None else self.expansions.expanded(documents)

    def encode(self, documents: Sequence[Document]) -> Vectors:
        """Encode documents. Raises what the encoders raise."""
        if self.joint is not None:
            return Vectors(*self.joint.encode_documents_jointly(documents))
        return Vectors(
            None if self.sparse is None else self.sparse.encode_documents(self.read_by_sparse(documents)),
            None if self.dense is None else self.dense.encode_dense_documents(documents),
        )
