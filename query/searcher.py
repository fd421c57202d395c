"""Searching an index: text or sparse vectors in, hits out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder, QueryEncoder
from lsr.errors import UsageError
from lsr.indexer.storage.index import Index
from lsr.indexer.storage.segment import Segment
from lsr.query.engine.approximate import Approximate
from lsr.query.engine.batches import ranked
from lsr.query.engine.best_passage import Owners, best_passages
from lsr.query.engine.engine import Engine, Ranking
from lsr.query.engine.planner import TRAVERSALS
from lsr.query.explain.term_spans import TermFinder
from lsr.query.filters.filter import DocumentFilter, FilterCache
from lsr.query.hits import hits_of
from lsr.types import Document, Hit, SparseBatch

if TYPE_CHECKING:
    from lsr.query.explain.explain import ExplainedSearch
    from lsr.query.feedback import Feedback, SparseVector
    from lsr.query.fusion.fuser import Fuser
    from lsr.query.hybrid.settings import Hybrid, HybridQueries


class Searcher:
    """Searches one generation of an index. Safe to use from many threads, and after a fork.

    encoder: the encoder of the index where it is loaded already; by default the index opens what its queries
    need. approximate: search so, faster, and perhaps not finding the best; by default every search is exact.
    fuser: a fuser, or the name of one; every search of texts is hybrid then, as `Hybrid(fuser=fuser)` says, unless the
    search says otherwise. The attribute `owners` says which document each passage is of, None
    where documents were not cut. Raises IndexMissingError, IndexDamagedError, EncoderError for another encoder than the
    index's, or UsageError for a fuser and an index without dense vectors.
    """

    def __init__(
        self,
        index: Index | str | Path,
        *,
        encoder: Encoder | None = None,
        approximate: Approximate | None = None,
        fuser: Fuser | str | None = None,
    ) -> None:
        self.index = index if isinstance(index, Index) else Index.open(index)
        self._engine = Engine(self.index)
        self._given = encoder
        self._filters = FilterCache(self.index)
        self.owners = None if self.index.manifest.passages is None else Owners(self.index)
        self.approximate = approximate
        self._encoder: QueryEncoder | None = None if encoder is None else self.index.fit_query_encoder(encoder)
        self._hybrid = None if fuser is None else self._hybrid_by(fuser)

    def refresh(self) -> Searcher:
        """Return a searcher of the index's last generation: itself, if there is none newer.

        This one goes on in its own generation, so that rankings and documents always fit each other. What both
        share stays loaded. Raises what opening raises.
        """
        index = self.index.refresh()
        if index is self.index:
            return self
        fuser = None if self._hybrid is None else self._hybrid.fuser
        return Searcher(index, encoder=self._given, approximate=self.approximate, fuser=fuser)

    def _hybrid_by(self, fuser: Fuser | str) -> Hybrid:
        from lsr.query.hybrid.dense_scores import dense_of
        from lsr.query.hybrid.settings import Hybrid

        dense_of(self.index)
        return Hybrid(fuser=fuser)

    def encode(self, texts: Sequence[str]) -> SparseBatch:
        """Return the sparse vectors of query texts, a row each.

        Raises UsageError for an index that takes encoded queries only, EncoderError if the encoder can't be opened.
        """
        return self.query_encoder.encode_queries(texts)

    @property
    def query_encoder(self) -> QueryEncoder:
        """What encodes queries, opened when first asked for. Raises EncoderError if it can't be opened."""
        encoder: QueryEncoder = self.index.query_encoder if self._encoder is None else self._encoder
        return encoder

    def warm_up(self) -> None:
        """Load what queries need, compiled kernels and all, so that the first is served as fast as the others."""
        self.encode(["ready"])
        for segment in self.index.segments[:1]:
            for traversal in TRAVERSALS:
                self._engine.rank(segment.terms[:1].astype(np.int32), np.ones(1, np.float32), 1, traversal=traversal)

    @cached_property
    def term_finder(self) -> TermFinder:
        """What finds the terms of the index in texts."""
        from lsr.query.explain.term_spans import term_finder

        return term_finder(self.index.manifest.encoder, self.query_encoder, self.index.vocabulary)

    def filter(self, filter_text: str) -> DocumentFilter:
        """Return the documents that a filter such as `year >= 2020 and lang == 'en'` allows, as `allowed` takes it.

        It is made once and kept, like some others. Raises FilterError where it can't be understood or doesn't fit
        the documents' fields; docs/FILTERS.md has the language.
        """
        return self._filters.get(filter_text)

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        once: bool = False,
        allowed: DocumentFilter | None = None,
        feedback: Feedback | None = None,
        hybrid: Hybrid | None = None,
    ) -> list[Hit]:
        """Return the k best documents for a text, best first; none if it has no known term.

        allowed: the documents that may be found (see `filter`), default all. once: this process serves no other
        query, so don't load the compiled kernels for it. feedback: add to the query what its first documents say, and
        search again; default, don't. hybrid: fuse with a second leg; default, don't, or what the searcher was made
        with. Raises UsageError for k below 1, or a hybrid search of an index without dense vectors, and what `encode`
        raises.
        """
        _check_k(k)
        if hybrid := hybrid or self._hybrid:
            from lsr.query.hybrid.search import encode_queries, rank_hybrid

            row = encode_queries(self, [query], hybrid).row(0)
            return self.hits(rank_hybrid(self, row, k, hybrid, once=once, allowed=allowed, feedback=feedback).ranking)
        vectors = self.encode([query])
        return self.hits(self.rank_vector(vectors.row(0), k, once=once, allowed=allowed, feedback=feedback))

    def explain(
        self,
        query: str,
        k: int = 10,
        *,
        once: bool = False,
        allowed: DocumentFilter | None = None,
        feedback: Feedback | None = None,
        hybrid: Hybrid | None = None,
    ) -> ExplainedSearch:
        """Search as `search` does, and explain every hit: its terms, where they stand, and what the engine did."""
        from lsr.query.explain.explain import explain

        _check_k(k)
        return explain(self, query, k, once=once, allowed=allowed, feedback=feedback, hybrid=hybrid or self._hybrid)

    def rank_vector(
        self,
        query: SparseVector,
        k: int,
        *,
        once: bool = False,
        allowed: DocumentFilter | None = None,
        feedback: Feedback | None = None,
    ) -> Ranking:
        """Return the ranking of one encoded query: term ids of the index, ascending, and weights.

        Where documents were cut into passages, it holds the best passage of each.
        """
        if feedback is not None:
            from lsr.query.feedback import expand

            query = expand(self, query, feedback, once=once, allowed=allowed)

        def rank(k: int) -> Ranking:
            return self._engine.rank(*query, k, once=once, allowed=allowed, approximate=self.approximate)

        return rank(k) if self.owners is None else best_passages(rank, self.owners, k)

    def rank(
        self,
        queries: SparseBatch,
        k: int = 10,
        *,
        threads: int | None = None,
        allowed: DocumentFilter | None = None,
        feedback: Feedback | None = None,
    ) -> Iterator[Ranking]:
        """Return the rankings of encoded queries, one after another as they are asked for.

        threads: default, one a core. allowed, feedback: as for `search`. Raises UsageError for k below 1, or queries
        of another vocabulary.
        """
        _check_k(k)
        if queries.vocab_size > len(self.index.vocabulary):
            raise UsageError(
                f"the queries' vocabulary has {queries.vocab_size:,} terms, the index's "
                f"{len(self.index.vocabulary):,}: encode the queries with the encoder of the index"
            )

        at_once = feedback is None and self.owners is None and self.approximate is None

        def rank(numbers: range) -> list[Ranking]:
            if at_once:
                return self._engine.rank_many([queries.row(number) for number in numbers], k, allowed=allowed)
            return [self.rank_vector(queries.row(n), k, allowed=allowed, feedback=feedback) for n in numbers]

        return ranked(rank, len(queries), threads)

    def rank_hybrid(
        self,
        queries: HybridQueries,
        k: int = 10,
        *,
        hybrid: Hybrid | None = None,
        threads: int | None = None,
        allowed: DocumentFilter | None = None,
        feedback: Feedback | None = None,
    ) -> Iterator[Ranking]:
        """Return the fused rankings of encoded queries, one after another as they are asked for.

        hybrid: default, that of the searcher, or `Hybrid()`. The others are as for `rank`. Raises what `rank` raises.
        """
        from lsr.query.hybrid.search import rank_hybrid
        from lsr.query.hybrid.settings import Hybrid

        _check_k(k)
        how = hybrid or self._hybrid or Hybrid()

        def rank(numbers: range) -> list[Ranking]:
            rows = map(queries.row, numbers)
            return [rank_hybrid(self, row, k, how, allowed=allowed, feedback=feedback).ranking for row in rows]

        return ranked(rank, len(queries), threads)

    def search_batch(
        self,
        queries: Sequence[str] | SparseBatch,
        k: int = 10,
        *,
        query_ids: Sequence[str] | None = None,
        threads: int | None = None,
        allowed: DocumentFilter | None = None,
        feedback: Feedback | None = None,
        hybrid: Hybrid | None = None,
    ) -> Iterator[list[Hit]]:
        """Return the hits of each query, one after another as they are asked for.

        query_ids: to be noted in the hits. allowed, feedback, hybrid: as for `search`; encoded queries are searched by
        their terms alone, `rank_hybrid` takes both vectors. Raises what `rank` and `encode` raise.
        """
        hybrid = hybrid or self._hybrid
        if isinstance(queries, SparseBatch) or hybrid is None:
            vectors = queries if isinstance(queries, SparseBatch) else self.encode(queries)
            rankings = self.rank(vectors, k, threads=threads, allowed=allowed, feedback=feedback)
        else:
            from lsr.query.hybrid.search import encode_queries

            encoded = encode_queries(self, queries, hybrid)
            rankings = self.rank_hybrid(encoded, k, hybrid=hybrid, threads=threads, allowed=allowed, feedback=feedback)
        ids: Sequence[str | None] = [None] * len(queries) if query_ids is None else query_ids
        return (self.hits(ranking, query_id=query_id) for query_id, ranking in zip(ids, rankings, strict=True))

    def document(self, position: int) -> Document:
        """Return the document, or the passage of one, that was added as number `position` of the index."""
        starts = self._engine.first_positions
        number = int(np.searchsorted(starts, position, side="right")) - 1
        return self.index.segments[number].document(int(position - starts[number]))

    def by_segment(
        self, positions: npt.NDArray[np.int64]
    ) -> Iterator[tuple[Segment, npt.NDArray[np.int64], list[int]]]:
        """Yield each segment that holds some of the positions, their places in `positions`, and their rows in it."""
        starts = self._engine.first_positions
        numbers = np.searchsorted(starts, positions, side="right") - 1
        for number in np.unique(numbers).tolist():
            places = np.flatnonzero(numbers == number)
            yield self.index.segments[number], places, (positions[places] - starts[number]).tolist()

    def doc_ids(self, ranking: Ranking) -> list[str]:
        """Return the doc_ids of a ranking, without reading the texts."""
        return self.doc_ids_at(ranking.positions)

    def doc_ids_at(self, positions: npt.NDArray[np.int64]) -> list[str]:
        """Return the doc_ids of documents, or of those that passages are of, by their positions in the index."""
        ids = [""] * len(positions)
        for segment, places, rows in self.by_segment(positions):
            store = segment.documents
            found = store.doc_ids(rows) if self.owners is None else store.document_ids(rows)
            for place, doc_id in zip(places.tolist(), found, strict=True):
                ids[place] = doc_id
        return ids

    def hits(self, ranking: Ranking, *, query_id: str | None = None) -> list[Hit]:
        """Return the hits of a ranking, with titles and texts."""
        documents = map(self.document, ranking.positions.tolist())
        return hits_of(ranking, documents, query_id=query_id, passages=self.owners is not None)


def _check_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"k is {k}; it must be at least 1")
