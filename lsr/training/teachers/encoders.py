"""Dense and sparse encoders as teachers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder, model_of
from lsr.encoders.dense.base import DenseEncoder
from lsr.errors import UsageError
from lsr.training.teachers.base import Scores, TeacherRequest, register_teacher
from lsr.training.teachers.bi_encoder import (
    BiEncoderTeacher,
    Side,
    dense_product,
    dense_stack,
    dense_values,
    sparse_stack,
    sparse_values,
)
from lsr.training.teachers.sparse_product import sparse_product
from lsr.training.teachers.store import open_store
from lsr.types import Document, SparseBatch


def dense_teacher(name: str, encoder: DenseEncoder, cache: Path | None, **settings: Any) -> BiEncoderTeacher[Any]:
    """Return a teacher that scores by an encoder's dense vectors.

    settings: further settings that change them, such as its dtype.
    """
    store = open_store(cache, "dense", {**encoder.description, **settings})

    def of_queries(texts: Sequence[str]) -> list[bytes]:
        return dense_values(encoder.encode_dense_queries(texts), name)

    def of_documents(texts: Sequence[str]) -> list[bytes]:
        return dense_values(encoder.encode_dense_documents(_documents(texts)), name)

    return BiEncoderTeacher(
        name, Side("query", store, of_queries, dense_stack), Side("document", store, of_documents, dense_stack),
        dense_product,
    )  # fmt: skip


def sparse_teacher(name: str, encoder: Encoder, cache: Path | None, **settings: Any) -> BiEncoderTeacher[SparseBatch]:
    """Return a teacher that scores by an encoder's sparse vectors.

    Words beside a model's terms are left out: the teacher `bm25` has them. Raises UsageError for an encoder whose
    weights depend on a corpus.
    """
    encoder = model_of(encoder)
    if encoder.corpus_weighting is not None:
        raise UsageError(f"teacher {name}: its weights depend on the corpus; take the teacher 'bm25' instead")
    store = open_store(cache, "sparse", {**encoder.description, **settings})

    def of_queries(texts: Sequence[str]) -> list[bytes]:
        return sparse_values(encoder.encode_queries(texts))

    def of_documents(texts: Sequence[str]) -> list[bytes]:
        return sparse_values(encoder.encode_documents(_documents(texts)))

    return BiEncoderTeacher(
        name, Side("query", store, of_queries, sparse_stack), Side("document", store, of_documents, sparse_stack),
        _product,
    )  # fmt: skip


@register_teacher("dense", takes_model=True)
def open_dense(request: TeacherRequest, **options: Any) -> BiEncoderTeacher[Any]:
    """Open a dense encoder as a teacher. options: of `lsr.encoders.dense.encoder.load_dense`."""
    from lsr.encoders.dense.encoder import load_dense

    encoder = load_dense(request.model, **options)
    return dense_teacher(request.name, encoder, request.cache, dtype=options.get("dtype"))


@register_teacher("sparse", takes_model=True)
def open_sparse(request: TeacherRequest, **options: Any) -> BiEncoderTeacher[SparseBatch]:
    """Open a learned sparse encoder as a teacher. options: of `lsr.encoders.registry.load_encoder`."""
    from lsr.encoders.registry import load_encoder

    encoder = load_encoder(request.model, **options)
    return sparse_teacher(request.name, encoder, request.cache, dtype=options.get("dtype"))


def _product(queries: SparseBatch, documents: SparseBatch) -> Scores:
    return sparse_product(queries, documents)


def _documents(texts: Sequence[str]) -> list[Document]:
    return [Document(f"text {i}", text) for i, text in enumerate(texts)]
