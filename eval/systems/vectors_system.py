"""A system of ready vectors: documents and queries that were encoded elsewhere, as files."""

from __future__ import annotations

import time
from pathlib import Path

from lsr.errors import LsrError
from lsr.eval.data.datasets import Dataset
from lsr.eval.systems.encoder_system import cache_name, cached_index, file_sha256, index_cache
from lsr.eval.systems.indexed_system import IndexedSystem, Prepared
from lsr.indexer.storage.index import StoredIndex
from lsr.io.progress import NoProgress, Progress
from lsr.query.searcher import Searcher
from lsr.types import SparseBatch


class VectorsSystem(IndexedSystem):
    """Ready vectors of documents and queries; their index is kept in `cache`, by default the user's."""

    def __init__(
        self, vectors: Path, queries: Path, *, cache: Path | None = None, name: str | None = None, threads: int = 1,
        progress: Progress | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name or vectors.resolve().parent.name, threads=threads)
        self._vectors = vectors
        self._queries = queries
        self._cache = cache or index_cache()
        self._progress = progress or NoProgress()

    def _prepare(self, dataset: Dataset) -> Prepared:
        """StoredIndex the vectors unless that was done before; read the queries.

        Raises LsrError where a judged query isn't in the file of queries, and what reading and indexing raise.
        """
        from lsr.indexer.pipeline import index_vectors
        from lsr.query.encoded_queries import read_encoded_queries

        path = self._cache / cache_name("vectors", self.name, key=(file_sha256(self._vectors),))
        index_s: float | None = None
        index = cached_index(path)
        if index is None:
            began = time.perf_counter()
            index_vectors([self._vectors], path, threads=self.threads, progress=self._progress)
            index_s = time.perf_counter() - began
            index = StoredIndex.open(path)
        query_ids, batch, unknown = read_encoded_queries(self._queries, index)
        rows = {query_id: row for row, query_id in enumerate(query_ids)}
        lacking = [query_id for query_id in dataset.queries if query_id not in rows]
        if lacking:
            raise LsrError(
                f"{self._queries}: {len(lacking)} of the {len(dataset.queries)} judged queries of {dataset.name} are"
                f" not in it, the first being {lacking[0]!r}; encode all of them"
            )
        queries = SparseBatch.concatenate([batch.rows(rows[q], rows[q] + 1) for q in dataset.queries])
        # Terms unknown to the index are counted for the whole file, so their mean is over its queries.
        query_terms = queries.nnz / max(1, len(queries)) + unknown / max(1, len(query_ids))
        return Prepared(Searcher(index), queries, query_terms, index_s=index_s)
