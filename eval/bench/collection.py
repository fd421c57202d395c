"""Collections to time engines on: sparse vectors from `.npz` files, or synthetic ones."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from os import SEEK_CUR
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError, UsageError
from lsr.io.atomic import atomic_file
from lsr.types import Document, SparseBatch

BATCH = 1 << 14
HASHED_AT_ONCE = 1 << 22
CHECKED_AT_ONCE = 1 << 15
LOCAL_HEADER = 30
"""Bytes of a zip member's local header without its name and extra field, whose lengths come last."""
LARGEST = 255
VOCAB_SIZE, TOPIC_SIZE, COMMON_STRENGTH, HEAD = 20_000, 400, 12.0, 60.0
DOCUMENT_TERMS, QUERY_TERMS = (180, 75, 60), (12, 7, 5)
"""Drawn from a topic, from another, from all terms."""


@dataclass(frozen=True, slots=True)
class SparseCollection:
    """Documents and queries with whole weights of 1 to 255. name: their source.

    The documents' arrays may be those of a file, mapped, with a byte a weight: `rows` makes proper ones of some.
    """

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
            documents=self.documents if docs in (None, len(self.documents)) else rows(self.documents, 0, docs),
            queries=kept if query_terms is None else heaviest_terms(kept, query_terms),
        )


def without_unmatched(collection: SparseCollection) -> SparseCollection:
    """Leave out queries that match no document: there is nothing to time, and peers may crash on them."""
    queries = collection.queries
    df = document_frequencies(collection.documents)
    row = np.repeat(np.arange(len(queries)), np.diff(queries.indptr))
    matched = np.flatnonzero(np.bincount(row, weights=df[queries.term_ids], minlength=len(queries)))
    if len(matched) == len(queries):
        return collection
    kept = [rows(queries, i, i + 1) for i in matched.tolist()]
    return replace(collection, queries=replace(SparseBatch.concatenate(kept), vocab_size=queries.vocab_size))


def document_frequencies(documents: SparseBatch) -> npt.NDArray[np.int64]:
    """Return the number of documents that hold each term: int64, (vocab_size)."""
    df = np.zeros(documents.vocab_size, np.int64)
    for first in range(0, len(documents), BATCH):
        df += np.bincount(rows(documents, first, first + BATCH).term_ids, minlength=documents.vocab_size)
    return df


def rows(batch: SparseBatch, first: int, last: int) -> SparseBatch:
    """Return rows first … last − 1, or to the end, as a proper SparseBatch.

    Arrays are copied where those of a file have other types.
    """
    indptr = batch.indptr[first : last + 1]
    span = slice(indptr[0], indptr[-1])
    term_ids = np.require(batch.term_ids[span], np.int32, "A")
    weights = np.require(batch.weights[span], np.float32, "A")
    return SparseBatch(indptr - indptr[0], term_ids, weights, batch.vocab_size)


def in_order(batch: SparseBatch, order: npt.NDArray[np.int64]) -> SparseBatch:
    """Return the rows in another order: row i is row order[i] of the batch."""
    lengths = np.diff(batch.indptr)[order]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = np.arange(indptr[-1]) + np.repeat(batch.indptr[:-1][order] - indptr[:-1], lengths)
    return SparseBatch(indptr, batch.term_ids[places], batch.weights[places], batch.vocab_size)


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
    for array, dtype in ((batch.indptr, np.int64), (batch.term_ids, np.int32), (batch.weights, np.float32)):
        for first in range(0, len(array), HASHED_AT_ONCE):
            hashed.update(np.ascontiguousarray(array[first : first + HASHED_AT_ONCE], dtype).data)
    return hashed.hexdigest()


def load_collection(folder: Path) -> SparseCollection:
    """Read `docs.npz` and `queries.npz` of a folder: CSR arrays indptr, indices, data, and shape.

    Weights that are not whole numbers of 1 to 255 become such, the largest being 255, and the name says
    so: not every engine can take others. Raises LsrError if a file is missing or isn't that.
    """
    documents, made_whole = _whole(_map_vectors(folder / "docs.npz"))
    queries, queries_made_whole = _whole(load_vectors(folder / "queries.npz"))
    if queries.vocab_size != documents.vocab_size:
        raise LsrError(
            f"{folder}: the documents have {documents.vocab_size} terms, the queries {queries.vocab_size}; "
            "both need the same vocabulary"
        )
    note = ", weights scaled to whole numbers" if made_whole or queries_made_whole else ""
    return SparseCollection(folder.resolve().name + note, documents, queries)


def save_collection(folder: Path, collection: SparseCollection) -> None:
    """Write the files that `load_collection` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    save_vectors(folder / "docs.npz", collection.documents)
    save_vectors(folder / "queries.npz", collection.queries)


def save_vectors(path: Path, batch: SparseBatch) -> None:
    """Write vectors with whole weights of 1 to 255."""
    shape = np.array([len(batch), batch.vocab_size])
    with atomic_file(path) as file:
        np.savez(file, indptr=batch.indptr, indices=batch.term_ids, data=batch.weights.astype(np.uint8), shape=shape)


def load_vectors(path: Path) -> SparseBatch:
    """Read vectors. Raises LsrError if the file is missing or holds no CSR matrix."""
    batch = _map_vectors(path)
    return rows(batch, 0, len(batch))


def _map_vectors(path: Path) -> SparseBatch:
    """Map the vectors of a file; weights that are bytes stay so. Raises LsrError as `load_vectors` does."""
    try:
        arrays = _map_arrays(path)
        indptr, shape = np.array(arrays["indptr"], np.int64), np.array(arrays["shape"])
        batch = SparseBatch(indptr, arrays["indices"], arrays["data"], int(shape[1]))
        ends = [*range(0, max(len(batch), 1), CHECKED_AT_ONCE), len(batch)]
        try:
            for first, last in pairwise(ends):
                rows(batch, first, last).check()
        except LsrError:
            rows(batch, 0, len(batch)).check()  # which tells the right number of the row
            raise
        if indptr[0] != 0 or indptr[-1] != len(arrays["indices"]) or len(arrays["indices"]) != len(arrays["data"]):
            raise ValueError(f"indptr does not span the {len(arrays['indices'])} terms")
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise LsrError(f"{path}: not a sparse matrix (indptr, indices, data, shape): {error}") from error
    return batch


def _map_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an .npz file: mapped where they are stored uncompressed, else read."""
    with np.load(path, allow_pickle=False) as archive, path.open("rb") as file:
        return {name: _map_array(path, file, archive, name) for name in archive.files}


def _map_array(path: Path, file: BinaryIO, archive: Any, name: str) -> npt.NDArray[Any]:
    member = archive.zip.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED:
        return archive[name]  # type: ignore[no-any-return]
    file.seek(member.header_offset + LOCAL_HEADER - 4)
    n_name, n_extra = struct.unpack("<HH", file.read(4))
    file.seek(n_name + n_extra, SEEK_CUR)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject or not np.prod(shape):
        return archive[name]  # type: ignore[no-any-return]
    return np.memmap(path, dtype, "r", file.tell(), shape)


def _whole(batch: SparseBatch) -> tuple[SparseBatch, bool]:
    """Return the batch with whole weights of 1 to 255, and whether they had to change."""
    weights = batch.weights
    if weights.dtype == np.uint8:
        return batch, False
    if not len(weights) or (weights.max() <= LARGEST and np.array_equal(weights, np.rint(weights))):
        return batch, False
    scaled = np.rint(weights * (LARGEST / weights.max())).clip(1, LARGEST)
    return SparseBatch(batch.indptr, batch.term_ids, scaled.astype(np.float32), batch.vocab_size), True


def make_collection(n_docs: int, n_queries: int = 500, *, seed: int = 1) -> SparseCollection:
    """Generate a collection in the shape of learned sparse vectors: topics, a Zipf law of terms, skewed weights.

    There are n_docs / 80 topics of TOPIC_SIZE terms, each with a typical weight. A document draws from one
    topic, less from another, and from all terms; so does a query, and its length varies more. The constants
    are such that posting lists and pruning are about those of SPLADE-v3 vectors: 250 terms a document, 24 a
    query, 2.4 postings for a document and query, and as many superblocks scored for the 10 best.
    """
    rng = np.random.default_rng(seed)
    popularity = 1 / (np.arange(VOCAB_SIZE) + HEAD)
    popularity /= popularity.sum()
    n_topics = max(1, n_docs // 80)
    topics = rng.choice(VOCAB_SIZE, (n_topics, TOPIC_SIZE), p=popularity).astype(np.int32)
    topical = _Topics(topics, rng.gamma(1.5, 25.0, topics.shape), np.cumsum(popularity))
    parts = [
        topical.draw(rng, min(BATCH, n_docs - first), DOCUMENT_TERMS, steadiness=20)
        for first in range(0, n_docs, BATCH)
    ]
    queries = topical.draw(rng, n_queries, QUERY_TERMS, steadiness=3)
    return SparseCollection(f"made up, seed {seed}", SparseBatch.concatenate(parts), queries)


@dataclass(frozen=True, slots=True)
class _Topics:
    """Terms and typical weights of topics, (n_topics, TOPIC_SIZE), and the cumulative probability of terms."""

    terms: npt.NDArray[np.int32]
    strengths: npt.NDArray[np.float64]
    popularity: npt.NDArray[np.float64]

    def draw(self, rng: np.random.Generator, n: int, means: tuple[int, int, int], *, steadiness: float) -> SparseBatch:
        """Draw n rows of terms from one topic, from another, and from all terms.

        means: the mean number of terms from each, before repeated ones are dropped. steadiness: the variance of a
        row's length is its mean² / steadiness.
        """
        length = rng.gamma(steadiness, 1 / steadiness, n).clip(0.1, 3)
        vocab_size = len(self.popularity)
        keys, weights = [], []
        for mean, topical in zip(means, (True, True, False), strict=True):
            row = np.repeat(np.arange(n), np.rint(mean * length).astype(np.int64))
            if topical:
                topic = rng.integers(len(self.terms), size=n)[row]
                place = rng.integers(TOPIC_SIZE, size=len(row))
                term, strength = self.terms[topic, place], self.strengths[topic, place]
            else:
                term = np.searchsorted(self.popularity, rng.random(len(row))).clip(0, vocab_size - 1)
                strength = np.full(len(row), COMMON_STRENGTH)
            keys.append(row * vocab_size + term)
            weights.append(strength * np.exp(0.2 * rng.standard_normal(len(row))))
        unique, chosen = np.unique(np.concatenate(keys), return_index=True)
        return SparseBatch(
            np.searchsorted(unique, np.arange(n + 1) * vocab_size).astype(np.int64),
            (unique % vocab_size).astype(np.int32),
            np.rint(np.concatenate(weights)[chosen]).clip(1, LARGEST).astype(np.float32),
            vocab_size,
        )
