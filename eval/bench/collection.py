"""Collections to time engines on: sparse vectors out of `.npz` files, or made up."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError
from lsr.types import Document, SparseBatch

BATCH = 1 << 14


@dataclass(frozen=True, slots=True)
class SparseCollection:
    """Documents and queries with whole weights of 1 to 255. name says where they come from."""

    name: str
    documents: SparseBatch
    queries: SparseBatch

    def batches(self) -> Iterator[tuple[list[Document], SparseBatch]]:
        """Yield the documents with their vectors, as an index writer takes them; document i has doc_id str(i)."""
        d = self.documents
        for first in range(0, len(d), BATCH):
            indptr = d.indptr[first : first + BATCH + 1]
            span = slice(indptr[0], indptr[-1])
            vectors = SparseBatch(indptr - indptr[0], d.term_ids[span], d.weights[span], d.vocab_size)
            yield [Document(str(first + i), "") for i in range(len(vectors))], vectors


def load_collection(folder: Path) -> SparseCollection:
    """Read `docs.npz` and `queries.npz` of a folder: CSR arrays indptr, indices, data, and shape.

    Raises LsrError if one is missing or isn't that.
    """
    return SparseCollection(folder.name, _load(folder / "docs.npz"), _load(folder / "queries.npz"))


def _load(path: Path) -> SparseBatch:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            batch = SparseBatch(
                arrays["indptr"].astype(np.int64),
                arrays["indices"].astype(np.int32),
                arrays["data"].astype(np.float32),
                int(arrays["shape"][1]),
            )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise LsrError(f"{path}: not a sparse matrix (indptr, indices, data, shape): {error}") from error
    batch.check()
    return batch


def make_collection(n_docs: int, n_queries: int = 500, *, seed: int = 1) -> SparseCollection:
    """Make up a collection with the shape of learned sparse vectors: topics, a Zipf law of terms, skewed weights.

    Each document draws three quarters of its terms from one of n_docs / 80 topics and the rest from all;
    each query draws from one topic. About 180 terms a document, 24 a query, 20,000 terms in all.
    """
    rng = np.random.default_rng(seed)
    vocab_size, topic_size = 20_000, 400
    popularity = 1 / (np.arange(vocab_size) + 20.0)
    popularity /= popularity.sum()
    n_topics = max(1, n_docs // 80)
    topics = rng.choice(vocab_size, (n_topics, topic_size), p=popularity).astype(np.int32)
    strengths = rng.gamma(2.0, 30.0, (n_topics, topic_size))
    parts = []
    for first in range(0, n_docs, BATCH):
        n = min(BATCH, n_docs - first)
        parts.append(_draw(rng, topics, strengths, popularity, n, 150, 50))
    documents = SparseBatch.concatenate(parts)
    queries = _draw(rng, topics, strengths, popularity, n_queries, 22, 3)
    return SparseCollection(f"made up, {n_docs:,} documents, seed {seed}", documents, queries)


def _draw(
    rng: np.random.Generator,
    topics: npt.NDArray[np.int32],
    strengths: npt.NDArray[np.float64],
    popularity: npt.NDArray[np.float64],
    n: int,
    n_topical: int,
    n_common: int,
) -> SparseBatch:
    """Draw n rows of up to n_topical + n_common distinct terms."""
    vocab_size = len(popularity)
    topic = rng.integers(len(topics), size=n)
    place = rng.integers(topics.shape[1], size=(n, n_topical))
    topical = topics[topic[:, None], place]
    common = np.searchsorted(np.cumsum(popularity), rng.random((n, n_common))).clip(0, vocab_size - 1)
    terms = np.concatenate([topical, common.astype(np.int32)], axis=1)
    base = np.concatenate([strengths[topic[:, None], place], np.full((n, n_common), 12.0)], axis=1)
    weights = np.rint(base * np.exp(0.2 * rng.standard_normal(base.shape))).clip(1, 255).astype(np.float32)
    keys = (np.arange(n)[:, None] * vocab_size + terms).ravel()
    keys, chosen = np.unique(keys, return_index=True)
    indptr = np.searchsorted(keys, np.arange(n + 1) * vocab_size).astype(np.int64)
    return SparseBatch(indptr, (keys % vocab_size).astype(np.int32), weights.ravel()[chosen], vocab_size)
