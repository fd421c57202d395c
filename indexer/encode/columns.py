"""What an encoder gives of a window of documents, as columns of a shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lsr.encoders.base import Encoder
from lsr.encoders.dense_base import DenseEncoder, DenseVectors, JointEncoder
from lsr.errors import EncoderError, UsageError
from lsr.types import Document, SparseBatch

Columns = Mapping[str, Any]
"""Arrow arrays by name: `terms` and `weights` of sparse vectors, `vector` (float16) of dense ones."""


def columns_of(encoder: Encoder | DenseEncoder | JointEncoder) -> Callable[[Sequence[Document]], Columns]:
    """Return what makes columns of documents: the sparse ones, the dense one, or all of them from one pass.

    Raises UsageError for an encoder whose weights depend on the whole corpus.
    """
    if isinstance(encoder, JointEncoder):
        joint = encoder

        def jointly(documents: Sequence[Document]) -> Columns:
            sparse, dense = joint.encode_documents_jointly(documents)
            return {**sparse_columns(sparse, joint.terms), **dense_columns(dense, documents)}

        return jointly
    if isinstance(encoder, DenseEncoder):
        dense_encoder = encoder
        return lambda documents: dense_columns(dense_encoder.encode_dense_documents(documents), documents)
    if encoder.corpus_weighting is not None:
        raise UsageError(
            f"encoder {encoder.description['name']}: its weights depend on the whole corpus, so it has no vectors "
            "apart from an index: index the corpus instead"
        )
    return lambda documents: sparse_columns(encoder.encode_documents(documents), encoder.terms)


def sparse_columns(vectors: SparseBatch, terms: Sequence[str]) -> Columns:
    """Return `terms` (lists of strings, stored as numbers) and `weights` (lists of float32)."""
    import pyarrow as pa

    used, places = np.unique(vectors.term_ids, return_inverse=True)
    names = pa.DictionaryArray.from_arrays(
        pa.array(places.astype(np.int32)), string_array(terms[i] for i in used.tolist())
    )
    offsets = pa.array(vectors.indptr.astype(np.int32))
    return {
        "terms": pa.ListArray.from_arrays(offsets, names),
        "weights": pa.ListArray.from_arrays(offsets, pa.array(vectors.weights)),
    }


def dense_columns(vectors: DenseVectors, documents: Sequence[Document]) -> Columns:
    """Return `vector` (lists of float16). Raises EncoderError for a number that float16 doesn't hold."""
    import pyarrow as pa

    with np.errstate(over="ignore"):
        halves = vectors.astype(np.float16)
    if not np.isfinite(halves).all():
        row = int(np.argmax(~np.isfinite(halves).all(axis=1)))
        raise EncoderError(
            f"document {documents[row].doc_id!r}: its vector holds {np.abs(vectors[row]).max():.4g}, beyond what "
            f"float16 holds ({np.finfo(np.float16).max}): normalise the vectors"
        )
    return {"vector": pa.FixedSizeListArray.from_arrays(pa.array(halves.ravel()), vectors.shape[1])}


def string_array(values: Iterable[str]) -> Any:
    """Return strings as Arrow has them: UTF-8, which has no lone surrogates; they become "?"."""
    import pyarrow as pa

    return pa.array([value.encode("utf-8", "replace").decode() for value in values], pa.string())
