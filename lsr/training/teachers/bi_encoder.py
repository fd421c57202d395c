"""Bi-encoders as teachers: each text has its vector, which is computed once and cached."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from lsr.errors import LsrError
from lsr.training.data.example import Example
from lsr.training.teachers.base import Advance, Scores, Wanted, ignore, rows_wanted, text_digest
from lsr.training.teachers.store import Store
from lsr.types import Document, SparseBatch

PREPARE_AT_ONCE = 512
"""Examples whose texts are looked up, sorted by length and encoded together when a cache is filled."""

SAVE_AT_ONCE = 256
"""Texts that are encoded, then cached, together: the most that a kill loses."""

_Vectors = TypeVar("_Vectors")


class Side(Generic[_Vectors]):
    """Side of a teacher: texts to vectors, each computed once.

    encode: texts of similar length to values as they are cached, one each. stack: values to vectors.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        encode: Callable[[Sequence[str]], list[bytes]],
        stack: Callable[[Sequence[bytes]], _Vectors],
    ) -> None:
        self._name = name
        self._store = store
        self._encode = encode
        self._stack = stack

    def vectors(self, texts: Sequence[str]) -> _Vectors:
        """Return the texts' vectors; compute those that aren't cached."""
        keys = [text_digest(text, self._name) for text in texts]
        values = self._store.get(list(dict.fromkeys(keys)))
        values.update(self._compute({key: text for key, text in zip(keys, texts, strict=True) if key not in values}))
        return self._stack([values[key] for key in keys])

    def keep(self, texts: Iterable[str]) -> int:
        """Cache the vectors of texts; return the number of new ones."""
        by_key = {text_digest(text, self._name): text for text in texts}
        known = self._store.get(list(by_key))
        return len(self._compute({key: text for key, text in by_key.items() if key not in known}))

    def _compute(self, missing: Mapping[bytes, str]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        by_length = iter(sorted(missing, key=lambda key: len(missing[key])))
        while keys := list(islice(by_length, SAVE_AT_ONCE)):
            values = self._encode([missing[key] for key in keys])
            new = dict(zip(keys, values, strict=True))
            self._store.put(new)
            found.update(new)
        return found


class BiEncoderTeacher(Generic[_Vectors]):
    """Teacher that scores by dot products of queries' and documents' vectors."""

    def __init__(
        self,
        name: str,
        queries: Side[_Vectors],
        documents: Side[_Vectors],
        product: Callable[[_Vectors, _Vectors], Scores],
    ) -> None:
        self.name = name
        self._queries = queries
        self._documents = documents
        self._product = product

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Wanted | None = None) -> Scores:
        """Return dot products; NaN for queries and documents without a wanted cell."""
        rows, columns = rows_wanted(wanted, len(queries), 1), rows_wanted(wanted, len(documents), 0)
        scores = np.full((len(queries), len(documents)), np.nan, np.float32)
        if not rows or not columns:
            return scores
        of_queries = self._queries.vectors([queries[i] for i in rows])
        of_documents = self._documents.vectors([documents[i].full_text for i in columns])
        scores[np.ix_(rows, columns)] = self._product(of_queries, of_documents)
        return scores

    def query_vectors(self, queries: Sequence[str]) -> _Vectors:
        """Return the queries' vectors, cached."""
        return self._queries.vectors(queries)

    def document_vectors(self, documents: Sequence[Document]) -> _Vectors:
        """Return the documents' vectors, cached."""
        return self._documents.vectors([document.full_text for document in documents])

    def prepare(self, examples: Iterable[Example], advance: Advance = ignore) -> int:
        """Cache the vectors of the examples' queries and documents; return the number of new ones."""
        stream, computed = iter(examples), 0
        while some := list(islice(stream, PREPARE_AT_ONCE)):
            computed += self._queries.keep(example.query for example in some)
            computed += self._documents.keep(d.full_text for example in some for d in example.documents)
            advance(len(some))
        return computed


def dense_values(vectors: np.typing.NDArray[np.float32], name: str) -> list[bytes]:
    """Return vectors as they are cached: float16. Raises LsrError for numbers beyond its range."""
    with np.errstate(over="ignore"):
        halves = vectors.astype(np.float16)
    if not np.isfinite(halves).all():
        raise LsrError(f"teacher {name}: its vectors hold {np.abs(vectors).max():.4g}, beyond float16: normalise them")
    return [row.tobytes() for row in halves]


def dense_stack(values: Sequence[bytes]) -> np.typing.NDArray[np.float32]:
    """Return cached dense vectors as rows of float32."""
    return np.stack([np.frombuffer(value, np.float16) for value in values]).astype(np.float32)


def dense_product(queries: np.typing.NDArray[np.float32], documents: np.typing.NDArray[np.float32]) -> Scores:
    """Return all dot products."""
    product: Scores = queries @ documents.T
    return product


def sparse_values(vectors: SparseBatch) -> list[bytes]:
    """Return sparse rows as they are cached: the term ids (int32), then the weights (float32)."""
    return [ids.astype(np.int32).tobytes() + weights.astype(np.float32).tobytes() for ids, weights in vectors]


def sparse_stack(values: Sequence[bytes]) -> SparseBatch:
    """Return cached sparse rows as a batch."""
    halves: list[tuple[Any, Any]] = [
        (np.frombuffer(value, np.int32, len(value) // 8), np.frombuffer(value, np.float32, -1, len(value) // 2))
        for value in values
    ]
    indptr = np.concatenate([[0], np.cumsum([len(ids) for ids, _ in halves])]).astype(np.int64)
    term_ids = np.concatenate([ids for ids, _ in halves])
    weights = np.concatenate([weights for _, weights in halves])
    return SparseBatch(indptr, term_ids, weights, int(term_ids.max(initial=-1)) + 1)
