"""Search of a set whose shards are searched apart, by a transport: scattered, gathered, and merged into one answer.

Scores are whole numbers times one scale, and ties are decided by positions in the set, so the k best of the shards' k
best are those of one index, in its order.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError, ShardLostError, UsageError
from lsr.indexer.storage.index import StoredIndex, StoredSet
from lsr.io.fork_safe import cached_property
from lsr.query.engine.best_passage import Owners
from lsr.query.engine.engine import Ranking
from lsr.query.filters.columns import column_kinds
from lsr.query.hybrid.ann import FLAT, AnnParameters
from lsr.query.options import SearchOptions
from lsr.query.queries import DenseRow
from lsr.query.searcher import Searcher
from lsr.query.shards.filters import EVERYTHING as ALL
from lsr.query.shards.filters import SetFilter
from lsr.query.shards.losses import refuse_missing
from lsr.query.shards.matches import SetMatches
from lsr.query.shards.merging import merged_rankings
from lsr.query.shards.open_shards import OpenShards, Reply
from lsr.query.shards.packing import Array
from lsr.query.shards.threads import Threads
from lsr.query.shards.transport import Transport
from lsr.query.sparse_search import EVERYTHING, Scope, SparseVector
from lsr.query.typed_query import Conditions
from lsr.types import Document, MissingShard

T = TypeVar("T")
Positions = npt.NDArray[np.int64]
STARTING_S = 300.0
"""Time that shards get to open and to load what searches need."""


class GatheredSearcher(Searcher):
    """Search of a set by a transport; its methods and answers are those of a Searcher.

    timeout_s: for each request to the shards (default: any time). root: path or URL of the set where the shards are
    opened (default: the index's). threads: of each shard, for batches of queries. Other options are a Searcher's.
    Raises UsageError for a single index.
    """

    at_once = 1024

    def __init__(
        self, index: StoredIndex, transport: Transport, *, timeout_s: float | None = None, root: str | None = None,
        threads: int | None = None, **options: Any,
    ) -> None:  # fmt: skip
        if not isinstance(index, StoredSet):
            raise UsageError(f"{index.path} is a single index: a transport searches sets of shards (docs/SCALE.md)")
        super().__init__(index, **options)
        self._how: dict[str, Any] = {"transport": transport, "timeout_s": timeout_s, "root": root, "threads": threads}
        self._shards = OpenShards(index, transport, timeout_s=timeout_s, root=root, threads=threads)
        self._absent: Mapping[int, str] = {}
        self._look_elsewhere()

    def _look_elsewhere(self) -> None:
        self.elsewhere = self
        if self.owners is not None:
            self.owners = SetOwners(self)

    def close(self) -> None:
        """Release the shards."""
        self._shards.close()
        super().close()

    def refresh(self) -> Searcher:
        """Return a searcher of the set's newest generation; see `Searcher.refresh`."""
        index = self.index.refresh()
        if index is self.index:
            return self
        encoders = self.encoders.refreshed(index)
        return GatheredSearcher(index, encoders=encoders, options=self.options, once=self.once, **self._how)

    # Partial answers

    @property
    def missing(self) -> tuple[MissingShard, ...]:
        """The shards that are not searched."""
        return self.index.missing + self._shards.missing(self._absent)

    def tolerant(self, options: SearchOptions, do: Callable[[Searcher], T]) -> T:
        """Return what `do` makes of this searcher, or of one without the shards that were lost on the way.

        Raises ShardLostError where options don't allow partial answers, or every shard is lost.
        """
        if not options.partial:
            refuse_missing(self.index.path, self.index.missing)
            return do(self)
        view = self._without(resting) if (resting := self._shards.resting()) else self
        while True:
            try:
                return do(view)
            except ShardLostError as error:
                lost = {self._shards.number_of(name): reason for name, reason in error.reasons.items()}
                if not set(lost) - set(view._absent) or len({*lost, *view._absent}) == len(self._shards):
                    raise
                view = view._without(lost)

    def _without(self, lost: Mapping[int, str]) -> GatheredSearcher:
        view = copy.copy(self)
        view._absent = {**self._absent, **lost}
        view._look_elsewhere()
        return view

    # Requests

    def _ask(
        self, name: str, value: Any = None, arrays: Sequence[Array] = (), of: Collection[int] | None = None,
        timeout_s: float | None = None,
    ) -> list[Reply]:  # fmt: skip
        asked = range(len(self._shards)) if of is None else of
        numbers = [number for number in asked if number not in self._absent]
        return self._shards.ask(name, value, arrays, numbers, timeout_s) if numbers else []

    def _ask_holders(
        self, name: str, value: Any, positions: Positions, *before: Array
    ) -> Iterator[tuple[Any, Positions, list[Array]]]:
        """Yield the value of each reply, the indices in `positions` that it is about, and its other arrays."""
        for _, found, (indices, *arrays) in self._ask(
            name, value, (*before, positions), self._shards.with_positions(positions)
        ):
            yield found, indices, arrays

    def warm_up(self, *, wait: bool = False) -> None:
        """Load what queries need, at the shards too. wait: until kernels are compiled and all files are verified."""
        if self.index.manifest.encoder["query_side"] != "none":
            self.encode(["ready"])
        self.warm_kernels()
        if wait:
            self.verify()

    def warm_kernels(self) -> None:
        """Let the shards open and load compiled kernels."""
        self._ask("warm", {"whole": False}, timeout_s=max(STARTING_S, self._shards.timeout_s or 0.0))

    def verify(self) -> None:
        """Let the shards read and verify all of their files."""
        self._ask("warm", {"whole": True}, timeout_s=3600.0)

    # Stages of a search

    def filter(self, filter_text: str) -> Any:
        """Return a filter that each shard compiles. Raises FilterError; see `SparseSearch.filter`."""
        from lsr.query.filters.masks import check_filter

        check_filter(filter_text, column_kinds(self.index))
        return SetFilter(self._count, (filter_text,))

    def meeting(self, conditions: Conditions) -> Any:
        """Return the documents that meet the conditions of a typed query, as `filter` does."""
        return SetFilter(self._count, (), (conditions,))

    def _count(self, allowed: SetFilter) -> int:
        return self.n_allowed(allowed) or 0

    def n_allowed(self, allowed: Any) -> int | None:
        """Return how many documents a dense search may find; see `SparseSearch.n_allowed`."""
        counts = [found for _, found, _ in self._ask("count", {"scope": _scope(Scope(allowed))})]
        if all(n is None for n, _ in counts):
            return None
        return sum(int(size if n is None else n) for n, size in counts)

    def rank_vector(self, vector: SparseVector, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return the ranking of one encoded query; see `SparseSearch.rank_vector`."""
        return self.rank_vectors([vector], k, scope)[0]

    def rank_vectors(self, vectors: Sequence[SparseVector], k: int, scope: Scope = EVERYTHING) -> list[Ranking]:
        """Return the rankings of several encoded queries, by one request to each shard."""
        if not vectors:
            return []
        if k < 1:
            raise UsageError(f"k is {k}; it must be at least 1")
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids, _ in vectors])]).astype(np.int64)
        ids = np.concatenate([ids for ids, _ in vectors]).astype(np.int32, copy=False)
        weights = np.concatenate([weights for _, weights in vectors]).astype(np.float32, copy=False)
        replies = self._ask("rank", {"k": k, "scope": _scope(scope)}, (starts, ids, weights))
        return merged_rankings(replies, len(vectors), k, scope.approximate)

    def unscored(self, ranked: Positions, n: int, scope: Scope) -> Positions:
        """Return allowed documents that a ranking lacks; see `SparseSearch.unscored`."""
        replies = self._ask("unscored", {"n": n, "scope": _scope(scope)}, [ranked])
        return np.sort(np.concatenate([np.empty(0, np.int64), *(arrays[0] for _, _, arrays in replies)]))[:n]

    def find_matches(self, vector: SparseVector, scope: Scope) -> Any:
        """Return all matches, which stay at their shards."""
        term_ids, weights = vector

        def ask(asked: Mapping[str, Any]) -> list[tuple[Any, list[Array]]]:
            replies = self._ask("matches", {**asked, "scope": _scope(scope)}, (term_ids, weights))
            return [(found, arrays) for _, found, arrays in replies]

        return SetMatches(ask)

    def impact_rows(self, positions: Positions) -> list[SparseVector]:
        """Return the term ids and impacts of documents."""
        rows: list[SparseVector] = [(np.empty(0, np.int32), np.empty(0, np.float32))] * len(positions)
        for _, indices, (lengths, ids, impacts) in self._ask_holders("impact rows", None, positions):
            ends = np.cumsum(lengths).tolist()
            for index, first, last in zip(indices.tolist(), [0, *ends], ends, strict=False):
                rows[index] = ids[first:last], impacts[first:last]
        return rows

    def impacts_at(self, term_ids: npt.NDArray[np.int32], positions: Positions) -> npt.NDArray[np.uint8]:
        """Return the impacts of terms in documents: uint8, (n_terms, n_positions)."""
        impacts = np.zeros((len(term_ids), len(positions)), np.uint8)
        for _, indices, (of_shard,) in self._ask_holders("impacts", None, positions, term_ids):
            impacts[:, indices] = of_shard
        return impacts

    def dense_halves(self, positions: Positions, dimension: int) -> npt.NDArray[np.float16]:
        """Return the dense vectors of documents: float16, (n_positions, dimension)."""
        rows = np.zeros((len(positions), dimension), np.float16)
        for _, indices, (of_shard,) in self._ask_holders("dense", {"dimension": dimension}, positions):
            rows[indices] = of_shard
        return rows

    def nearest(self, vector: DenseRow, k: int, allowed: Any, parameters: AnnParameters) -> Positions:
        """Return the positions of the k largest dense products of all shards, and more that may equal the last."""
        value = {"k": k, "scope": _scope(Scope(allowed)), "ann": _as_json(parameters)}
        replies = self._ask("nearest", value, [vector])
        positions = np.concatenate([np.empty(0, np.int64), *(arrays[0] for _, _, arrays in replies)])
        products = np.concatenate([np.empty(0), *(arrays[1] for _, _, arrays in replies)])
        if parameters.kind == FLAT and len(products) > k:
            kth = np.partition(products, len(products) - k)[len(products) - k]
            positions = positions[~(products < kth)]
        return np.sort(positions)

    # Documents

    def documents_at(self, positions: Positions) -> Iterator[Document]:
        """Return documents by their positions, by one request to each shard that has some."""
        found: list[Any] = [None] * len(positions)
        for documents, indices, _ in self._ask_holders("documents", None, positions):
            for index, document in zip(indices.tolist(), documents, strict=True):
                found[index] = document
        return (Document(*document) for document in found)

    def document(self, position: int) -> Document:
        """Return the document at a position."""
        return next(iter(self.documents_at(np.array([position], np.int64))))

    def doc_ids_at(self, positions: Positions) -> list[str]:
        """Return the doc_ids of documents by their positions; of passages, those of their documents."""
        ids = [""] * len(positions)
        for found, indices, _ in self._ask_holders("doc_ids", None, positions):
            for index, doc_id in zip(indices.tolist(), found, strict=True):
                ids[index] = doc_id
        return ids

    def stored_vector(self, doc_id: str) -> tuple[Document, npt.NDArray[np.int32], npt.NDArray[np.float32]] | None:
        """Return a document with its term ids and impacts; None if there is none."""
        for _, found, arrays in self._ask("stored", doc_id):
            if found is not None:
                return Document(*found), arrays[0], arrays[1]
        return None


class SetSearcher(Searcher):
    """Search of a set in this process as one index, without damaged shards if that is asked.

    Its segments share one heap and threshold, so this is the fastest way on one machine.
    """

    def refresh(self) -> Searcher:
        """Return a searcher of the set's newest generation; see `Searcher.refresh`."""
        found = super().refresh()
        if found is self or not found.index.shards:
            return found
        return SetSearcher(found.index, encoders=found.encoders, options=self.options, once=self.once)

    def tolerant(self, options: SearchOptions, do: Callable[[Searcher], T]) -> T:
        """Return what `do` makes of this searcher, or, where options are `partial`, of one without damaged shards."""
        try:
            return super().tolerant(options, do)
        except IndexDamagedError:
            if not options.partial:
                raise
        return self._apart.tolerant(options, do)

    @cached_property
    def _apart(self) -> GatheredSearcher:
        """The searcher of the same set that searches its shards apart, so that it can do without some."""
        return GatheredSearcher(self.index, Threads(), encoders=self.encoders, options=self.options, once=self.once)


class SetOwners(Owners):
    """The document of each passage of a set, looked up at its shards. See `lsr.query.engine.best_passage.Owners`."""

    def __init__(self, search: GatheredSearcher) -> None:
        self._search = search
        self._of_position: dict[int, int] = {}
        self._numbers: dict[str, int] = {}

    def __call__(self, positions: Positions) -> Positions:
        """Return a number for each position, the same for passages of one document."""
        new = [position for position in positions.tolist() if position not in self._of_position]
        if new:
            ids = self._search.doc_ids_at(np.array(new, np.int64))
            for position, doc_id in zip(new, ids, strict=True):
                self._of_position[position] = self._numbers.setdefault(doc_id, len(self._numbers))
        return np.array([self._of_position[position] for position in positions.tolist()], np.int64)


def _scope(scope: Scope) -> dict[str, Any]:
    allowed: Any = scope.allowed
    if allowed is not None and not isinstance(allowed, SetFilter):
        raise UsageError("a filter that was made for one index is of no use to shards elsewhere: give its text")
    return {
        **(ALL if allowed is None else allowed.as_json()),
        "approximate": None if scope.approximate is None else scope.approximate.given(),
        "finds_all": scope.finds_all,
    }


def _as_json(parameters: AnnParameters) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(parameters)
