"""Documents and their vectors as columns of a shard, by name. Arrow arrays, one value a document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lsr.encoders.dense.base import DenseVectors
from lsr.indexer.storage.dense_vectors import as_halves
from lsr.types import Document, SparseBatch

Columns = Mapping[str, Any]


def text_columns(documents: Sequence[Document]) -> dict[str, Any]:
    """Return `title` and `text`."""
    return {
        "title": string_array(document.title for document in documents),
        "text": string_array(document.text for document in documents),
    }


def field_columns(documents: Sequence[Document]) -> dict[str, Any]:
    """Return `fields`: a JSON object each, an empty string where there are none."""
    return {"fields": string_array(json.dumps(dict(d.fields)) if d.fields else "" for d in documents)}


def sparse_columns(vectors: SparseBatch, terms: Sequence[str]) -> dict[str, Any]:
    """Return `terms` (lists of strings, stored as numbers) and `weights` (lists of float32).

    The terms of a row are in the order of their strings: words are numbered as a process meets them, and what is
    written is to depend on the documents alone.
    """
    import pyarrow as pa

    used, places = np.unique(vectors.term_ids, return_inverse=True)
    strings = [terms[i] for i in used.tolist()]
    order = sorted(range(len(strings)), key=strings.__getitem__)
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    row = np.repeat(np.arange(len(vectors)), np.diff(vectors.indptr))
    by_string = np.lexsort((ranks[places], row))
    names = pa.DictionaryArray.from_arrays(pa.array(ranks[places][by_string]), string_array(strings[i] for i in order))
    offsets = pa.array(vectors.indptr.astype(np.int32))
    return {
        "terms": pa.ListArray.from_arrays(offsets, names),
        "weights": pa.ListArray.from_arrays(offsets, pa.array(vectors.weights[by_string])),
    }


def numbered_columns(vectors: SparseBatch) -> dict[str, Any]:
    """Return `term_ids` (lists of int32) and `weights` (lists of float32): of use only beside the vocabulary."""
    import pyarrow as pa

    offsets = pa.array(vectors.indptr.astype(np.int32))
    return {
        "term_ids": pa.ListArray.from_arrays(offsets, pa.array(vectors.term_ids)),
        "weights": pa.ListArray.from_arrays(offsets, pa.array(vectors.weights)),
    }


def dense_columns(vectors: DenseVectors, documents: Sequence[Document]) -> dict[str, Any]:
    """Return `vector` (lists of float16). Raises EncoderError for what `as_halves` refuses."""
    import pyarrow as pa

    halves = as_halves(vectors, documents)
    return {"vector": pa.FixedSizeListArray.from_arrays(pa.array(halves.ravel()), vectors.shape[1])}


def string_array(values: Iterable[str]) -> Any:
    """Return strings as Arrow has them: UTF-8, which has no lone surrogates; they become "?"."""
    import pyarrow as pa

    return pa.array([value.encode("utf-8", "replace").decode() for value in values], pa.string())
