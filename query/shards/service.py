"""A shard as the searches of its set ask for it: requests and replies in bytes, positions of the set.

The methods `_rank`, `_unscored`, … are the whole interface to a shard. Each gets the value and the arrays of a request
(`lsr.query.shards.packing`), and returns those of its reply; `lsr.query.shards.gathered` asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import lsr.errors
from lsr.errors import IndexDamagedError, IndexMissingError, LsrError
from lsr.indexer.shards.agreement import shard_folder
from lsr.indexer.shards.manifest import ShardInfo
from lsr.indexer.shards.places import Places
from lsr.indexer.storage.generations import open_folder
from lsr.indexer.storage.index import StoredIndex
from lsr.query.engine.approximate import Approximate
from lsr.query.engine.batches import ranked
from lsr.query.engine.compile_ahead import COMPILING
from lsr.query.engine.engine import Ranking
from lsr.query.hybrid.ann import FLAT, AnnParameters
from lsr.query.hybrid.dense_scores import rows_at
from lsr.query.hybrid.dense_search import allowed_rows, best_of_all, n_allowed, nearest, products
from lsr.query.matches import find_matches
from lsr.query.queries import Query
from lsr.query.query_encoders import QueryEncoders
from lsr.query.shards.filters import conditions_of
from lsr.query.shards.matches import shard_matches
from lsr.query.shards.packing import Array, pack, unpack
from lsr.query.shards.transport import ShardPlace
from lsr.query.sparse_search import Scope, SparseSearch
from lsr.query.typed_ranking import rank_typed
from lsr.types import Document

Answer = tuple[Any, Sequence[Array]]
Positions = npt.NDArray[np.int64]


class ShardService:
    """One shard, open for the searches of its set. Safe to use from many threads."""

    def __init__(self, place: ShardPlace) -> None:
        """Open a shard. Raises IndexDamagedError, IndexMissingError where it isn't what the set says."""
        info = ShardInfo(place.name, place.generation, place.manifest_crc32, place.n_docs)
        folder = shard_folder(open_folder(folder_of(place)), info)
        index = StoredIndex.open(folder.path, generation=place.generation)
        index.agreed_kinds = place.kinds
        if place.next_position is not None:
            index.places = Places(index.segments, next_position=place.next_position)
        self._place = place
        self._search = SparseSearch(index, QueryEncoders(index))
        self._filled: npt.NDArray[np.bool_] | None = None

    def answer(self, request: bytes) -> bytes:
        """Return the reply to a request: an error is one, too."""
        try:
            (name, value), arrays = unpack(request)
            found, of_reply = _METHODS[name](self, value, arrays)
            return pack({"found": found}, *of_reply)
        except Exception as error:  # noqa: BLE001  the searcher says what it was
            return failure(error)

    def _scope(self, value: Mapping[str, Any]) -> Scope:
        allowed = None
        for text in value["where"]:
            one = self._search.filter(text)
            allowed = one if allowed is None else allowed & one
        for conditions in value["conditions"]:
            one = self._search.meeting(conditions_of(conditions))
            allowed = one if allowed is None else allowed & one
        approximate = value["approximate"]
        return Scope(allowed, None if approximate is None else Approximate.of(approximate), value["finds_all"])

    def _mine(self, positions: Positions) -> tuple[npt.NDArray[np.int64], Positions]:
        """Return which of some positions of the set are of this shard, by index, and what it calls them."""
        places = self._search.index.places
        if places.is_sequential:
            local = positions - self._place.first
            indices = np.flatnonzero((local >= 0) & (local < places.n_positions))
            return indices, local[indices]
        if self._filled is None:
            self._filled = places.filled
        indices = np.flatnonzero(self._filled[positions])
        return indices, positions[indices]

    def _rank(self, value: Mapping[str, Any], arrays: Sequence[Array]) -> Answer:
        starts, term_ids, weights = arrays
        vectors = [(term_ids[first:last], weights[first:last]) for first, last in pairwise(starts.tolist())]
        k, scope = value["k"], None
        rankings: list[Ranking] = []
        typed = value["scope"]["conditions"]
        if len(vectors) == 1 and len(typed) == 1:
            query = Query(*vectors[0], conditions=conditions_of(typed[0]))
            found = rank_typed(self._search, query, k, self._scope({**value["scope"], "conditions": []}))
            rankings = [] if found is None else [found]
        if not rankings:
            scope = self._scope(value["scope"])
            search = self._search

            def find(numbers: range) -> list[Ranking]:
                return search.rank_vectors([vectors[number] for number in numbers], k, scope)

            rankings = list(ranked(find, len(vectors), self._place.threads))
        facts = [[r.n_postings, r.n_bounded, r.n_scored, r.n_skipped] for r in rankings]
        traversals: dict[tuple[str, ...], int] = {}
        ran = [traversals.setdefault(ranking.traversals, len(traversals)) for ranking in rankings]
        return list(traversals), (
            np.array([len(ranking) for ranking in rankings], np.int64),
            np.concatenate([ranking.positions for ranking in rankings]) + self._place.first,
            np.concatenate([ranking.scores for ranking in rankings]),
            np.array(facts, np.int64).reshape(-1, 4),
            np.array(ran, np.int64),
        )

    def _unscored(self, value: Mapping[str, Any], arrays: Sequence[Array]) -> Answer:
        (of_ranking,) = arrays
        _, local = self._mine(of_ranking)
        found = self._search.unscored(local, value["n"], self._scope(value["scope"]))
        return None, [found + self._place.first]

    def _count(self, value: Mapping[str, Any], arrays: Sequence[Array]) -> Answer:
        allowed = self._scope(value["scope"]).allowed
        return [n_allowed(self._search, allowed), len(self._search.index)], []

    def _impact_rows(self, value: Any, arrays: Sequence[Array]) -> Answer:
        indices, local = self._mine(arrays[0])
        rows = self._search.impact_rows(local)
        return None, (
            indices,
            np.array([len(ids) for ids, _ in rows], np.int64),
            np.concatenate([np.empty(0, np.int32), *(ids for ids, _ in rows)]),
            np.concatenate([np.empty(0, np.float32), *(impacts for _, impacts in rows)]),
        )

    def _impacts(self, value: Any, arrays: Sequence[Array]) -> Answer:
        term_ids, positions = arrays
        indices, local = self._mine(positions)
        return None, (indices, self._search.impacts_at(term_ids, local))

    def _dense(self, value: Mapping[str, Any], arrays: Sequence[Array]) -> Answer:
        indices, local = self._mine(arrays[0])
        return None, (indices, self._search.dense_halves(local, value["dimension"]))

    def _nearest(self, value: Mapping[str, Any], arrays: Sequence[Array]) -> Answer:
        (vector,) = arrays
        search, allowed, parameters = self._search, self._scope(value["scope"]).allowed, AnnParameters(**value["ann"])
        if parameters.kind == FLAT:
            mask = allowed_rows(search.index, allowed)
            (positions,) = best_of_all(search.index, vector[None], value["k"], mask)
            scores = products(rows_at(search, positions), vector)
        else:
            positions = nearest(search, vector, value["k"], allowed, parameters)
            scores = np.zeros(len(positions))
        return None, (positions + self._place.first, scores)

    def _documents(self, value: Any, arrays: Sequence[Array]) -> Answer:
        indices, local = self._mine(arrays[0])
        return [as_json(document) for document in self._search.documents_at(local)], [indices]

    def _doc_ids(self, value: Any, arrays: Sequence[Array]) -> Answer:
        indices, local = self._mine(arrays[0])
        return self._search.doc_ids_at(local), [indices]

    def _matches(self, value: Mapping[str, Any], arrays: Sequence[Array]) -> Answer:
        found = find_matches(self._search, (arrays[0], arrays[1]), self._scope(value["scope"]))
        return shard_matches(found, value, self._place.first)

    def _stored(self, value: str, arrays: Sequence[Array]) -> Answer:
        found = self._search.stored_vector(value)
        if found is None:
            return None, []
        document, term_ids, impacts = found
        return as_json(document), (term_ids, impacts)

    def _warm(self, value: Mapping[str, Any], arrays: Sequence[Array]) -> Answer:
        search = self._search
        if value["whole"]:
            COMPILING.wait()
        search.warm_kernels()
        for segment in search.index.segments[:1]:
            search.rank_vectors([(segment.terms[:1].astype(np.int32), np.ones(1, np.float32))], 1)
        if value["whole"]:
            search.verify()
        return None, []


_METHODS: Mapping[str, Callable[[ShardService, Any, Sequence[Array]], Answer]] = {
    "rank": ShardService._rank,
    "unscored": ShardService._unscored,
    "count": ShardService._count,
    "impact rows": ShardService._impact_rows,
    "impacts": ShardService._impacts,
    "dense": ShardService._dense,
    "nearest": ShardService._nearest,
    "documents": ShardService._documents,
    "doc_ids": ShardService._doc_ids,
    "matches": ShardService._matches,
    "stored": ShardService._stored,
    "warm": ShardService._warm,
}


def as_json(document: Document) -> list[Any]:
    """Return a document as a JSON value."""
    return [document.doc_id, document.text, document.title, dict(document.fields)]


def failure(error: Exception) -> bytes:
    """Return an error as a reply."""
    if not isinstance(error, LsrError):
        return pack({"kind": LsrError.__name__, "error": f"{type(error).__name__}: {error}", "is_lost": True})
    is_lost = isinstance(error, IndexDamagedError | IndexMissingError)
    kind = next(one.__name__ for one in type(error).__mro__ if hasattr(lsr.errors, one.__name__))
    return pack({"kind": kind, "error": str(error), "is_lost": is_lost})


def folder_of(place: ShardPlace) -> Path:
    """Return the path of a set on this machine; this shard of a URL is brought into the cache."""
    from lsr.indexer.transfer.object_store import is_url

    if not is_url(place.root):
        return Path(place.root)
    from lsr.indexer.transfer.download import download_shard

    return download_shard(place.root, place.name, place.generation, place.manifest_crc32)
