"""A system that indexes each dataset with an encoder, or takes the index that the cache holds of both."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder, begin_again
from lsr.encoders.dense.base import JointEncoder
from lsr.encoders.device import placement_of
from lsr.encoders.runtime import with_runtime
from lsr.errors import IndexDamagedError, IndexMissingError, LsrError
from lsr.eval.data.datasets import Dataset
from lsr.eval.systems.costs import timed
from lsr.eval.systems.indexed_system import IndexedSystem, Prepared
from lsr.indexer.encode.document_reader import DocumentReader, reader_for
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import FORMAT_VERSION
from lsr.io.cache import cache_home
from lsr.io.cores import available_cores
from lsr.io.folder import refuse_link
from lsr.io.progress import NoProgress, Progress
from lsr.query.searcher import Searcher
from lsr.types import Document

BY_PASSAGES = "+passages"
"""End of a system's name that reads documents whole."""

CACHED_WITH = "fields"
"""Content of cached indexes beside ids, titles and texts; earlier ones are not used."""


def index_cache() -> Path:
    """Return the folder that indexes made for evaluation are kept in."""
    return cache_home() / "eval"


class EncoderSystem(IndexedSystem):
    """An encoder, loaded or by the name that `lsr index --encoder` takes; indexes are kept in `cache`.

    cache: default, the user's. jointly: of a joint encoder, index its dense vectors too, which come of the same pass.
    passages: read long documents whole, in passages; by default they are cut where the encoder stops reading.
    device, dtype: of a model that is named (default: its own choice). settings: options of `load_encoder` for it, such
    as `family` and `top_k`. indexing_threads: threads that encode and index
    documents (default: all cores).
    """

    def __init__(
        self,
        encoder: str | Encoder,
        *,
        cache: Path | None = None,
        name: str | None = None,
        threads: int = 1,
        indexing_threads: int | None = None,
        jointly: bool = False,
        passages: bool = False,
        device: str | None = None,
        dtype: str | None = None,
        settings: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> None:
        given = encoder if isinstance(encoder, str) else str(encoder.description["name"])
        super().__init__((name or given) + (BY_PASSAGES if passages else ""), threads=threads)
        self._encoder_name = encoder if isinstance(encoder, str) else None
        self._encoder: Encoder | None = None if isinstance(encoder, str) else encoder
        self._cache = cache or index_cache()
        self._jointly = jointly
        self._indexing_threads = indexing_threads or available_cores()
        self._passages = passages
        self._options = placement_of(given, device=device, dtype=dtype) | dict(settings or {})
        self._progress = progress or NoProgress()

    def _prepare(self, dataset: Dataset) -> Prepared:
        """StoredIndex the dataset unless that was done before with this very encoder and corpus; encode the queries.

        Raises LsrError where the index in the cache is of another encoder, and what encoding and indexing raise.
        """
        encoder = self.encoder()
        wanted = _plain(with_runtime(encoder.description, encoder))
        reader = reader_for(encoder, passages=True) if self._passages else None
        path = self._cache / _cache_name(dataset, self.name, wanted, None if reader is None else reader.settings)
        index, index_s = self._open(path, dataset, encoder, reader)
        # What was measured must be what was asked for, whatever a loader may have fallen back to.
        if _plain(index.manifest.encoder) != wanted:
            raise LsrError(f"{path}: the index was made by {dict(index.manifest.encoder)}, not by {wanted}; delete it")
        # An encoder without a name that it could be loaded by is at hand.
        searcher = Searcher(index, encoder=encoder if self._encoder_name is None else None)
        return encoded(searcher, dataset, index_s=index_s)

    def encoder(self) -> Encoder:
        """Return the encoder, loaded when first asked for."""
        # An encoder of corpus statistics gathers the vocabulary of what it reads: each dataset gets a new one.
        by_name = self._encoder_name
        if by_name is not None and (self._encoder is None or self._encoder.corpus_weighting is not None):
            from lsr.encoders.registry import load_encoder

            self._encoder = load_encoder(by_name, **self._options)
        assert self._encoder is not None
        encoder: Encoder = begin_again(self._encoder)
        return encoder

    def _open(
        self, path: Path, dataset: Dataset, encoder: Encoder, reader: DocumentReader | None
    ) -> tuple[StoredIndex, float | None]:
        if (index := cached_index(path)) is not None:
            return index, None
        from lsr.indexer.pipeline import index_documents

        self._progress.start(f"encoding {dataset.name}", None, "document")
        began = time.perf_counter()
        documents = _counted(dataset, self._progress)
        dense = encoder if self._jointly and isinstance(encoder, JointEncoder) else None
        index_documents(
            documents,
            path,
            encoder,
            dense=dense,
            reader=reader,
            threads=self._indexing_threads,
            progress=self._progress,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        return StoredIndex.open(path), seconds


def encoded(searcher: Searcher, dataset: Dataset, *, index_s: float | None = None) -> Prepared:
    """Return a searcher with the dataset's queries, encoded all together and then one by one to time that."""
    texts = list(dataset.queries.values())
    query_encoder = searcher.query_encoder
    queries = query_encoder.encode_queries(texts)
    encode = timed([partial(query_encoder.encode_queries, [text]) for text in texts])
    query_terms = queries.nnz / max(1, len(queries))
    return Prepared(searcher, queries, query_terms, texts=texts, encode=encode, index_s=index_s)


def cached_index(path: Path) -> StoredIndex | None:
    """Open the index that a cache holds at `path`; a damaged one is removed, as it can be made again."""
    refuse_link(path)
    try:
        return StoredIndex.open(path)
    except IndexMissingError:
        return None
    except IndexDamagedError:
        shutil.rmtree(path)
        return None


def cache_name(*names: str, key: tuple[object, ...]) -> str:
    """Return the name of a folder in the cache: readable names, and a digest of what its content depends on."""
    digest = hashlib.sha256("\n".join(map(str, (*key, FORMAT_VERSION))).encode()).hexdigest()[:16]
    return "-".join([*(re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[-40:] or "system" for name in names), digest])


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes. Raises LsrError where it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LsrError(f"{path}: {error.strerror or error}") from error


def _counted(dataset: Dataset, progress: Progress) -> Iterator[Document]:
    for number, document in enumerate(dataset.documents(), 1):
        if number % 256 == 0:
            progress.advance(256)
        yield document


def _cache_name(
    dataset: Dataset, system: str, description: Mapping[str, Any], passages: Mapping[str, int] | None = None
) -> str:
    key = (CACHED_WITH, file_sha256(dataset.corpus_path), json.dumps(description, sort_keys=True))
    of_passages = () if passages is None else (json.dumps(dict(passages), sort_keys=True),)
    return cache_name(dataset.name, system, key=(*key, *of_passages))


def _plain(description: Mapping[str, Any]) -> Any:
    """Return a description as it looks once it went through a manifest's JSON."""
    return json.loads(json.dumps(dict(description), sort_keys=True))
