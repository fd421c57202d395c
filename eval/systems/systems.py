"""The systems that are evaluated: each makes, or finds in the cache, an index of a dataset, and encodes its queries."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lsr.encoders.base import Encoder, begin_again
from lsr.encoders.dense.base import JointEncoder
from lsr.errors import IndexDamagedError, IndexMissingError, LsrError
from lsr.eval.data.datasets import Dataset
from lsr.eval.measures.efficiency import latency
from lsr.eval.reports.results import Latency
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import FORMAT_VERSION
from lsr.io.folder import refuse_link
from lsr.io.progress import NoProgress, Progress
from lsr.query.feedback import Feedback
from lsr.query.query_encoders import QueryEncoders
from lsr.types import SparseBatch

TIMED_QUERIES = 1000


@dataclass(frozen=True, slots=True)
class Prepared:
    """An index of a dataset's documents, and the dataset's queries (row i is the i-th) as it takes them."""

    index: StoredIndex
    queries: SparseBatch
    query_terms: float
    """Mean active terms a query, those that the index doesn't have among them."""
    encode: Latency | None
    index_s: float | None
    feedback: Feedback | None = None
    """How queries are expanded while they are searched; None: not at all."""


class System(Protocol):
    """Something whose rankings are measured."""

    name: str

    def prepare(self, dataset: Dataset) -> Prepared:
        """Return the index and the queries, made now or kept from before."""
        ...


class EncoderSystem:
    """An encoder, by the name that `lsr index --encoder` takes; indexes are kept in `cache` and used again.

    jointly: of a joint encoder, index its dense vectors too, which come of the same pass.
    """

    def __init__(
        self,
        encoder: str,
        *,
        cache: Path,
        name: str | None = None,
        threads: int = 2,
        jointly: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._jointly = jointly
        self.name = name or encoder
        self._encoder_name = encoder
        self._encoder: Encoder | None = None
        self._cache = cache
        self._threads = threads
        self._progress = progress or NoProgress()

    def prepare(self, dataset: Dataset) -> Prepared:
        """Index the dataset unless that was done before with this very encoder and corpus; encode the queries.

        Raises LsrError where the index in the cache is of another encoder, and what encoding and indexing raise.
        """
        encoder = self.encoder()
        wanted = _plain(encoder.description)
        path = self._cache / _cache_name(dataset, self.name, wanted)
        index, index_s = self._open(path, dataset, encoder)
        # What was measured must be what was asked for, whatever a loader may have fallen back to.
        if _plain(index.manifest.encoder) != wanted:
            raise LsrError(f"{path}: the index was made by {dict(index.manifest.encoder)}, not by {wanted}; delete it")
        texts = list(dataset.queries.values())
        query_encoder = QueryEncoders(index).sparse
        queries: SparseBatch = query_encoder.encode_queries(texts)
        seconds = []
        for text in texts[:TIMED_QUERIES]:
            began = time.perf_counter()
            query_encoder.encode_queries([text])
            seconds.append(time.perf_counter() - began)
        return Prepared(index, queries, queries.nnz / max(1, len(queries)), latency(seconds), index_s)

    def encoder(self) -> Encoder:
        """Return the encoder, loaded when first asked for."""
        # An encoder of corpus statistics gathers the vocabulary of what it reads: each dataset gets a new one.
        if self._encoder is None or self._encoder.corpus_weighting is not None:
            from lsr.encoders.registry import load_encoder

            self._encoder = load_encoder(self._encoder_name)
        encoder: Encoder = begin_again(self._encoder)
        return encoder

    def _open(self, path: Path, dataset: Dataset, encoder: Encoder) -> tuple[StoredIndex, float | None]:
        if (index := _kept(path)) is not None:
            return index, None
        from lsr.indexer.pipeline import index_documents

        self._progress.start(f"encoding {dataset.name}", None, "document")
        began = time.perf_counter()
        documents = _counted(dataset, self._progress)
        dense = encoder if self._jointly and isinstance(encoder, JointEncoder) else None
        index_documents(documents, path, encoder, dense=dense, threads=self._threads, progress=self._progress)
        seconds = time.perf_counter() - began
        return StoredIndex.open(path), seconds


class VectorsSystem:
    """Ready vectors of documents and queries, as files; the index is built into `cache` and used again."""

    def __init__(
        self, vectors: Path, queries: Path, *, cache: Path, name: str | None = None, threads: int = 2,
        progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self.name = name or vectors.resolve().parent.name
        self._vectors = vectors
        self._queries = queries
        self._cache = cache
        self._threads = threads
        self._progress = progress or NoProgress()

    def prepare(self, dataset: Dataset) -> Prepared:
        """Index the vectors unless that was done before; read the queries.

        Raises LsrError where a judged query isn't in the file of queries, and what reading and indexing raise.
        """
        from lsr.indexer.pipeline import index_vectors
        from lsr.query.encoded_queries import read_encoded_queries

        path = self._cache / f"vectors-{_slug(self.name)}-{_digest(file_sha256(self._vectors), FORMAT_VERSION)}"
        index_s: float | None = None
        index = _kept(path)
        if index is None:
            began = time.perf_counter()
            index_vectors([self._vectors], path, threads=self._threads, progress=self._progress)
            index_s = time.perf_counter() - began
            index = StoredIndex.open(path)
        query_ids, batch, unknown = read_encoded_queries(self._queries, index)
        rows = {query_id: row for row, query_id in enumerate(query_ids)}
        if len(rows) != len(query_ids):
            raise LsrError(f"{self._queries}: {len(query_ids) - len(rows)} query ids stand there twice")
        lacking = [query_id for query_id in dataset.queries if query_id not in rows]
        if lacking:
            raise LsrError(
                f"{self._queries}: {len(lacking)} of the {len(dataset.queries)} judged queries of {dataset.name} are"
                f" not in it, the first being {lacking[0]!r}; encode all of them"
            )
        queries = _rows(batch, [rows[query_id] for query_id in dataset.queries])
        # Terms unknown to the index are counted for the whole file, so their mean is over its queries.
        query_terms = queries.nnz / max(1, len(queries)) + unknown / max(1, len(query_ids))
        return Prepared(index, queries, query_terms, None, index_s)


class FeedbackSystem:
    """A system whose queries are expanded by what their first documents say, as a system beside it."""

    def __init__(self, system: System, feedback: Feedback) -> None:
        self.name = f"{system.name}+feedback"
        self._system = system
        self._feedback = feedback

    def prepare(self, dataset: Dataset) -> Prepared:
        """Return the system's own index and queries, to be searched with feedback."""
        return replace(self._system.prepare(dataset), feedback=self._feedback)


def _kept(path: Path) -> StoredIndex | None:
    """Open the index that the cache holds at `path`; a damaged one is removed, as it can be made again."""
    refuse_link(path)
    try:
        return StoredIndex.open(path)
    except IndexMissingError:
        return None
    except IndexDamagedError:
        shutil.rmtree(path)
        return None


def _rows(batch: SparseBatch, rows: list[int]) -> SparseBatch:
    if rows == list(range(len(batch))):
        return batch
    chosen = ({int(t): float(w) for t, w in zip(*batch.row(row), strict=True)} for row in rows)
    return SparseBatch.from_rows(chosen, batch.vocab_size)


def _counted(dataset: Dataset, progress: Progress) -> Any:
    for number, document in enumerate(dataset.documents(), 1):
        if number % 256 == 0:
            progress.advance(256)
        yield document


def _cache_name(dataset: Dataset, system: str, description: Mapping[str, Any]) -> str:
    key = _digest(file_sha256(dataset.corpus_path), json.dumps(description, sort_keys=True), FORMAT_VERSION)
    return f"{_slug(dataset.name)}-{_slug(system)}-{key}"


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[-40:] or "system"


def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def _plain(description: Mapping[str, Any]) -> Any:
    """Return a description as it looks once it went through a manifest's JSON."""
    return json.loads(json.dumps(dict(description), sort_keys=True))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes. Raises LsrError where it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LsrError(f"{path}: {error.strerror or error}") from error
