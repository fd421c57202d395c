"""Searching an index: text or sparse vectors in, hits out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lsr.errors import UsageError
from lsr.indexer.index import Index
from lsr.query.engine import Engine, Ranking
from lsr.types import Document, Hit, SparseBatch


class Searcher:
    """Searches one generation of an index. Safe to use from many threads, and after a fork."""

    def __init__(self, index: Index | str | Path) -> None:
        self.index = index if isinstance(index, Index) else Index.open(index)
        self._engine = Engine(self.index)

    def search(self, query: str, k: int = 10, *, once: bool = False) -> list[Hit]:
        """Return the k best documents for a text, best first; none if it has no known term.

        once: this process serves no other query, so don't load the compiled kernels for it. Raises
        UsageError for k below 1 or an index that takes encoded queries only.
        """
        _check_k(k)
        vectors = self.index.query_encoder.encode_queries([query])
        term_ids, weights = vectors.row(0)
        return self.hits(self._engine.rank(term_ids, weights, k, once=once))

    def rank(self, queries: SparseBatch, k: int = 10, *, threads: int | None = None) -> Iterator[Ranking]:
        """Yield the ranking of each encoded query, in order. threads: default, all cores."""
        _check_k(k)
        if queries.vocab_size > len(self.index.vocabulary):
            raise UsageError(
                f"the queries' vocabulary has {queries.vocab_size} terms, the index's {len(self.index.vocabulary)}: "
                "encode the queries with the encoder of the index"
            )
        threads = threads or os.cpu_count() or 1

        def rank(number: int) -> Ranking:
            term_ids, weights = queries.row(number)
            return self._engine.rank(term_ids, weights, k)

        if threads == 1 or len(queries) == 1:
            yield from map(rank, range(len(queries)))
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(rank, range(len(queries)))

    def search_batch(
        self,
        queries: Sequence[str] | SparseBatch,
        k: int = 10,
        *,
        query_ids: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> Iterator[list[Hit]]:
        """Yield the hits of each query, in order. query_ids: to be noted in the hits."""
        vectors: SparseBatch = (
            queries if isinstance(queries, SparseBatch) else self.index.query_encoder.encode_queries(queries)
        )
        for number, ranking in enumerate(self.rank(vectors, k, threads=threads)):
            yield self.hits(ranking, query_id=query_ids[number] if query_ids is not None else None)

    def document(self, position: int) -> Document:
        """Return the document that was added as number `position` of the index."""
        starts = self._engine.first_positions
        number = int(np.searchsorted(starts, position, side="right")) - 1
        return self.index.segments[number].document(int(position - starts[number]))

    def doc_ids(self, ranking: Ranking) -> list[str]:
        """Return the doc_ids of a ranking, without reading the texts."""
        starts = self._engine.first_positions
        numbers = np.searchsorted(starts, ranking.positions, side="right") - 1
        ids = [""] * len(ranking)
        for number in np.unique(numbers):
            places = np.flatnonzero(numbers == number)
            rows = (ranking.positions[places] - starts[number]).tolist()
            for place, doc_id in zip(places, self.index.segments[number].documents.doc_ids(rows), strict=True):
                ids[place] = doc_id
        return ids

    def hits(self, ranking: Ranking, *, query_id: str | None = None) -> list[Hit]:
        """Return the hits of a ranking, with titles and texts."""
        found = []
        for rank, (position, score) in enumerate(zip(ranking.positions, ranking.scores, strict=True), start=1):
            document = self.document(int(position))
            found.append(Hit(rank, document.doc_id, float(score), document.title, document.text, query_id))
        return found


def _check_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"k is {k}; it must be at least 1")
