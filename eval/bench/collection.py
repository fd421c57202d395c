"""Collections to time engines on: sparse vectors out of `.npz` files, or made up."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError, UsageError
from lsr.types import Document, SparseBatch

BATCH = 1 << 14
LARGEST = 255


@dataclass(frozen=True, slots=True)
class SparseCollection:
    """Documents and queries with whole weights of 1 to 255. name says where they come from."""

    name: str
    documents: SparseBatch
    queries: SparseBatch

    def batches(self) -> Iterator[tuple[list[Document], SparseBatch]]:
        """Yield the documents with their vectors, as an index writer takes them; document i has doc_id str(i)."""
        for first in range(0, len(self.documents), BATCH):
            vectors = rows(self.documents, first, first + BATCH)
            yield [Document(str(first + i), "") for i in range(len(vectors))], vectors

    def take(
        self, *, docs: int | None = None, queries: int | None = None, query_terms: int | None = None
    ) -> SparseCollection:
        """Return the collection with only its first documents and queries, and these with their heaviest terms.

        Raises UsageError for more than there are.
        """
        for wanted, there, what in ((docs, self.documents, "documents"), (queries, self.queries, "queries")):
            if wanted is not None and wanted > len(there):
                raise UsageError(f"{self.name}: has {len(there)} {what}; {wanted} were asked for")
        kept = rows(self.queries, 0, len(self.queries) if queries is None else queries)
        return replace(
            self,
            documents=self.documents if docs is None else rows(self.documents, 0, docs),
            queries=kept if query_terms is None else heaviest_terms(kept, query_terms),
        )


def rows(batch: SparseBatch, first: int, last: int) -> SparseBatch:
    """Return rows first … last − 1, or to the end, without copying terms and weights."""
    indptr = batch.indptr[first : last + 1]
    span = slice(indptr[0], indptr[-1])
    return SparseBatch(indptr - indptr[0], batch.term_ids[span], batch.weights[span], batch.vocab_size)


def heaviest_terms(batch: SparseBatch, n: int) -> SparseBatch:
    """Keep the n heaviest terms of each row; of equal ones, those with the lower ids."""
    row = np.repeat(np.arange(len(batch)), np.diff(batch.indptr))
    order = np.lexsort((batch.term_ids, -batch.weights, row))
    rank = np.arange(batch.nnz) - np.repeat(batch.indptr[:-1], np.diff(batch.indptr))
    keep = np.sort(order[rank < n])
    indptr = np.concatenate([[0], np.cumsum(np.minimum(np.diff(batch.indptr), n))]).astype(np.int64)
    return SparseBatch(indptr, batch.term_ids[keep], batch.weights[keep], batch.vocab_size)


def digest(batch: SparseBatch) -> str:
    """Return a fingerprint of the vectors, 16 hexadecimal digits."""
    hashed = hashlib.blake2b(f"{len(batch)} {batch.vocab_size} ".encode(), digest_size=8)
    for array in (batch.indptr, batch.term_ids, batch.weights):
        hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()


def load_collection(folder: Path) -> SparseCollection:
    """Read `docs.npz` and `queries.npz` of a folder: CSR arrays indptr, indices, data, and shape.

    Weights that are not whole numbers of 1 to 255 become such, the largest being 255, and the name says
    so: not every engine can take others. Raises LsrError if a file is missing or isn't that.
    """
    documents, made_whole = _whole(_load(folder / "docs.npz"))
    queries, queries_made_whole = _whole(_load(folder / "queries.npz"))
    if queries.vocab_size != documents.vocab_size:
        raise LsrError(
            f"{folder}: the documents have {documents.vocab_size} terms, the queries {queries.vocab_size}; "
            "both need the same vocabulary"
        )
    note = ", weights scaled to whole numbers" if made_whole or queries_made_whole else ""
    return SparseCollection(folder.resolve().name + note, documents, queries)


def load_queries(folder: Path) -> SparseBatch:
    """Read only the queries of a collection. Raises LsrError as `load_collection` does."""
    return _whole(_load(folder / "queries.npz"))[0]


def save_collection(folder: Path, collection: SparseCollection) -> None:
    """Write what `load_collection` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, batch in (("docs.npz", collection.documents), ("queries.npz", collection.queries)):
        np.savez(
            folder / name,
            indptr=batch.indptr,
            indices=batch.term_ids,
            data=batch.weights.astype(np.uint8),
            shape=np.array([len(batch), batch.vocab_size]),
        )


def _load(path: Path) -> SparseBatch:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            batch = SparseBatch(
                arrays["indptr"].astype(np.int64),
                arrays["indices"].astype(np.int32),
                arrays["data"].astype(np.float32),
                int(arrays["shape"][1]),
            )
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise LsrError(f"{path}: not a sparse matrix (indptr, indices, data, shape): {error}") from error
    batch.check()
    return batch


def _whole(batch: SparseBatch) -> tuple[SparseBatch, bool]:
    """Return the batch with whole weights of 1 to 255, and whether they had to change."""
    weights = batch.weights
    if not len(weights) or (weights.max() <= LARGEST and np.array_equal(weights, np.rint(weights))):
        return batch, False
    scaled = np.rint(weights * (LARGEST / weights.max())).clip(1, LARGEST)
    return SparseBatch(batch.indptr, batch.term_ids, scaled.astype(np.float32), batch.vocab_size), True


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
    return SparseCollection(f"made up, seed {seed}", documents, queries)


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
