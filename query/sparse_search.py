"""Search by sparse vectors: rankings of encoded queries, and the documents of rankings.

Feedback, hybrid search and explanation build on it; `lsr.query.stages` puts them in line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import QueryEncoder
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.segment import Segment
from lsr.io.fork_safe import cached_property
from lsr.kernels.geometry import SUPERBLOCK
from lsr.query.engine.approximate import Approximate
from lsr.query.engine.batches import TASK
from lsr.query.engine.best_passage import Owners, best_passages
from lsr.query.engine.compile_ahead import COMPILING
from lsr.query.engine.engine import Engine, Ranking
from lsr.query.engine.planner import TRAVERSALS
from lsr.query.explain.term_spans import TermFinder
from lsr.query.filters.cache import FilterCache
from lsr.query.filters.filter import DocumentFilter
from lsr.query.query_encoders import QueryEncoders
from lsr.query.typed_query import Conditions
from lsr.types import Document, MissingShard, SparseBatch

if TYPE_CHECKING:
    from lsr.indexer.storage.dense_vectors import Halves

SparseVector = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
"""Term ids, ascending and unique, and weights."""


class Scope(NamedTuple):
    """The documents that a search may find (default: all), and whether it may miss some (default: no).

    finds_all: whether all of them are to be found, those without a term of the query last, with a score of 0. So it is
    where they hold what the query requires.
    """

    allowed: DocumentFilter | None = None
    approximate: Approximate | None = None
    finds_all: bool = False


EVERYTHING = Scope()


class Elsewhere(Protocol):
    """Work on segments that is done where they are."""

    def find_matches(self, vector: SparseVector, scope: Scope) -> Any:
        """Return what `lsr.query.matches.find_matches` does."""
        ...

    def n_allowed(self, allowed: Any) -> int | None:
        """Return what `lsr.query.hybrid.dense_search.n_allowed` does."""
        ...

    def nearest(self, vector: Any, k: int, allowed: Any, parameters: Any) -> npt.NDArray[np.int64]:
        """Return what `lsr.query.hybrid.dense_search.nearest` does."""
        ...


class SparseSearch:
    """Search of one generation of an index by sparse vectors. Safe to use from many threads, and after a fork.

    once: this process serves no other query, so the compiled kernels are not loaded for it. owners: the document of
    each passage; None where documents were not cut. filters: those of the index, the last used cached.

    What reads segments is a method here, so that a set whose shards are searched elsewhere has others
    (`lsr.query.shards.gathered`).
    """

    at_once = TASK
    """Queries by terms alone that a thread takes at a time."""
    elsewhere: Elsewhere | None = None
    """Larger pieces of work, where segments are read elsewhere."""

    def __init__(self, index: StoredIndex, encoders: QueryEncoders, *, once: bool = False) -> None:
        self.index = index
        self.encoders = encoders
        self.once = once
        self.engine = Engine(index)
        self.owners = None if index.manifest.passages is None else Owners(index)
        self.filters = FilterCache(index)

    def encode(self, texts: Sequence[str]) -> SparseBatch:
        """Return the sparse vectors of query texts, a row each.

        Raises UsageError for an index that takes encoded queries only, EncoderError if the encoder can't be opened.
        """
        return self.encoders.sparse.encode_queries(texts)

    @property
    def query_encoder(self) -> QueryEncoder:
        """The encoder of queries, opened when first asked for. Raises EncoderError if it can't be opened."""
        return self.encoders.sparse

    def warm_up(self, *, wait: bool = False) -> None:
        """Load what queries need, compiled kernels included, so that the first is served as fast as the others.

        wait: on a new machine, for the compiler, too; else numpy serves until it is done, in another process.
        """
        self.encode(["ready"])
        if wait:
            COMPILING.wait()
        self.warm_kernels()

    def warm_kernels(self) -> None:
        """Load the compiled kernels, where another process isn't just compiling them."""
        if not COMPILING.is_done():
            return
        for segment in self.index.segments[:1]:
            for traversal in TRAVERSALS:
                self.engine.rank(segment.terms[:1].astype(np.int32), np.ones(1, np.float32), 1, traversal=traversal)

    def verify(self) -> None:
        """Read and verify the whole index, so that it is in memory. Raises IndexDamagedError."""
        for segment in self.index.segments:
            segment.trust_all()
            for _ in segment.documents.all_doc_ids():
                pass

    @cached_property
    def term_finder(self) -> TermFinder:
        """The finder of the index's terms in texts."""
        from lsr.query.explain.term_spans import term_finder

        return term_finder(self.index.manifest.encoder, self.query_encoder, self.index.vocabulary)

    def filter(self, filter_text: str) -> DocumentFilter:
        """Return the documents that a filter such as `year >= 2020 and lang == 'en'` allows.

        The filters used last are cached. Raises FilterError where it can't be understood or doesn't fit the documents'
        fields; docs/FILTERS.md has the language.
        """
        return self.filters.get(filter_text)

    def meeting(self, conditions: Conditions) -> DocumentFilter:
        """Return the documents that meet the conditions of a typed query, as `filter` does."""
        return self.filters.meeting(conditions)

    def rank_vector(self, vector: SparseVector, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return the ranking of one encoded query: term ids of the index, ascending, and weights.

        Where documents were cut into passages, it holds the best passage of each.
        """

        def rank(k: int) -> Ranking:
            return self.engine.rank(*vector, k, once=self.once, allowed=scope.allowed, approximate=scope.approximate)

        return rank(k) if self.owners is None else best_passages(rank, self.owners, k)

    def rank_vectors(self, vectors: Sequence[SparseVector], k: int, scope: Scope = EVERYTHING) -> list[Ranking]:
        """Return the rankings of several encoded queries, in one call of compiled code where that is possible."""
        if self.owners is None and scope.approximate is None:
            return self.engine.rank_many(vectors, k, allowed=scope.allowed)
        return [self.rank_vector(vector, k, scope) for vector in vectors]

    @property
    def missing(self) -> tuple[MissingShard, ...]:
        """The shards of a set that are not searched."""
        return self.index.missing

    @property
    def n_superblocks(self) -> int:
        """Number of superblocks, of 64 documents each."""
        return sum(-(-segment.n_docs // SUPERBLOCK) for segment in self.index.manifest.segments)

    def unscored(self, ranked: npt.NDArray[np.int64], n: int, scope: Scope) -> npt.NDArray[np.int64]:
        """Return the positions of the first n documents that a scope allows and a ranking lacks.

        ranked: the ranking's positions. A document of several passages counts once.
        """
        if scope.allowed is None:
            return np.empty(0, np.int64)
        others = np.setdiff1d(scope.allowed.positions(self.index), ranked)
        if self.owners is not None and len(others):
            owners = self.owners(others)
            first = np.sort(np.unique(owners, return_index=True)[1])
            others, owners = others[first], owners[first]
            others = others[~np.isin(owners, self.owners(ranked))]
        return others[:n]

    def impact_rows(self, positions: npt.NDArray[np.int64]) -> list[SparseVector]:
        """Return the term ids and impacts of documents. Raises IndexDamagedError."""
        from lsr.query.explain.stored_impacts import doc_ords_at, document_rows

        rows: list[SparseVector] = [(np.empty(0, np.int32), np.empty(0, np.float32))] * len(positions)
        for segment, indices, numbers in self.by_segment(positions):
            found = document_rows(segment, doc_ords_at(segment, numbers))
            for index, (term_ids, impacts) in zip(indices.tolist(), found, strict=True):
                rows[index] = term_ids, impacts.astype(np.float32)
        return rows

    def stored_vector(self, doc_id: str) -> tuple[Document, npt.NDArray[np.int32], npt.NDArray[np.float32]] | None:
        """Return a document with its term ids and impacts; None if there is none."""
        for number, segment in enumerate(self.index.segments):
            (row,) = segment.find([doc_id])
            if row is not None:
                ((term_ids, impacts),) = self.impact_rows(self.index.places.at(number, np.array([row], np.int64)))
                return segment.document(row), term_ids, impacts
        return None

    def impacts_at(self, term_ids: npt.NDArray[np.int32], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the impacts of terms in documents: uint8, (n_terms, n_positions). Raises IndexDamagedError."""
        from lsr.query.explain.stored_impacts import doc_ords_at, impacts_at

        impacts = np.zeros((len(term_ids), len(positions)), np.uint8)
        for segment, places, rows in self.by_segment(positions):
            local, at = segment.local_terms(term_ids)
            impacts[np.ix_(at, places)] = impacts_at(segment, local, doc_ords_at(segment, rows))
        return impacts

    def dense_halves(self, positions: npt.NDArray[np.int64], dimension: int) -> Halves:
        """Return the dense vectors of documents: float16, (n_positions, dimension)."""
        rows = np.empty((len(positions), dimension), np.float16)
        for segment, places, numbers in self.by_segment(positions):
            assert segment.dense is not None
            rows[places] = segment.dense[numbers]
        return rows

    def documents_at(self, positions: npt.NDArray[np.int64]) -> Iterator[Document]:
        """Return documents, or passages of some, by their positions in the index."""
        return map(self.document, positions.tolist())

    def document(self, position: int) -> Document:
        """Return the document, or the passage of one, that was added as number `position` of the index."""
        ((segment, _, rows),) = self.by_segment(np.array([position], np.int64))
        return segment.document(rows[0])

    def by_segment(
        self, positions: npt.NDArray[np.int64]
    ) -> Iterator[tuple[Segment, npt.NDArray[np.int64], list[int]]]:
        """Yield each segment that holds some of the positions, their indices in `positions`, and their rows in it."""
        return self.index.by_segment(positions)

    def doc_ids(self, ranking: Ranking) -> list[str]:
        """Return the doc_ids of a ranking, without reading the texts."""
        return self.doc_ids_at(ranking.positions)

    def doc_ids_at(self, positions: npt.NDArray[np.int64]) -> list[str]:
        """Return the doc_ids of documents by their positions in the index; of passages, those of their documents."""
        ids = [""] * len(positions)
        for segment, places, rows in self.by_segment(positions):
            store = segment.documents
            found = store.doc_ids(rows) if self.owners is None else store.document_ids(rows)
            for place, doc_id in zip(places.tolist(), found, strict=True):
                ids[place] = doc_id
        return ids
