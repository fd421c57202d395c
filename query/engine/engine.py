"""Engine: runs a query over the segments of an index, in compiled code, or in numpy for a single query."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.indexer.storage.index import StoredIndex
from lsr.io.fork_safe import cached_property
from lsr.kernels.geometry import PAGE_SUPERBLOCKS, SUPERBLOCK
from lsr.query.engine.approximate import NO_LIMIT, Approximate
from lsr.query.engine.compile_ahead import COMPILING
from lsr.query.engine.numpy_engine import search_plain
from lsr.query.engine.planner import PLAIN_POSTINGS, PLAIN_WHILE_COMPILING, TRAVERSALS, compiled_is_loaded
from lsr.query.engine.query_weights import integer_weights
from lsr.query.filters.filter import DocumentFilter

LOW_32, HIGH_32 = np.uint64(0xFFFFFFFF), np.uint64(32)
NOT_SEARCHED = -1


class RankedLeg(NamedTuple):
    """Scores and ranks that one leg of a hybrid search gave a ranking's documents.

    scores: float64, (n), NaN for a document that it didn't find. ranks: int64, (n), from 1, and 0 for such.
    """

    name: str
    scores: npt.NDArray[np.float64]
    ranks: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The documents that a query found, best first.

    positions: int64, documents by the order in which they were added to the index. scores: float64, the
    exact dot products of query weights and impacts, times the scale. traversals: what ran in each
    segment that has a term of the query; n_postings: of the query's terms; n_bounded,
    n_scored: superblocks whose bound reached the first threshold, and those scored, by traversals that prune.
    approximate: the settings of a search that may have missed documents, None for an exact one; n_skipped:
    superblocks that it skipped although their bound, as far as it was computed, reaches the last threshold.
    legs: of a hybrid search, whose fused scores `scores` are then; else none.
    """

    positions: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    traversals: tuple[str, ...] = ()
    n_postings: int = 0
    n_bounded: int = 0
    n_scored: int = 0
    n_skipped: int = 0
    approximate: Approximate | None = None
    legs: tuple[RankedLeg, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def is_exact(self) -> bool:
        """True unless a document may have been missed."""
        return self.approximate is None and not any(ran.endswith("(approximate)") for ran in self.traversals)

    @property
    def skipped(self) -> dict[str, str | float | int] | None:
        """The settings of an approximate search, and the superblocks that it scored and skipped; else None."""
        if self.approximate is None:
            return None
        counts = {"superblocks_scored": self.n_scored, "superblocks_skipped": self.n_skipped}
        return self.approximate.given() | counts

    def at(self, places: npt.NDArray[np.int64]) -> Ranking:
        """Return the ranking of the documents at some places of this one, in their order."""
        legs = tuple(RankedLeg(leg.name, leg.scores[places], leg.ranks[places]) for leg in self.legs)
        return replace(self, positions=self.positions[places], scores=self.scores[places], legs=legs)

    def extended(self, positions: npt.NDArray[np.int64]) -> Ranking:
        """Return the ranking with documents behind it that no term of the query found: their score is 0, or less."""
        n = len(positions)
        if n == 0:
            return self
        least = np.full(n, min(0.0, *self.scores[-1:].tolist()) if len(self) else 0.0)
        scores = np.concatenate([self.scores, least])
        legs = tuple(
            RankedLeg(
                leg.name,
                np.concatenate([leg.scores, np.zeros(n, leg.scores.dtype)]),
                np.concatenate([leg.ranks, np.zeros(n, leg.ranks.dtype)]),
            )
            for leg in self.legs
        )
        return replace(self, positions=np.concatenate([self.positions, positions]), scores=scores, legs=legs)


@cache
def _kernels() -> SimpleNamespace:
    """Load the compiled kernels: late, since one query alone is done without them."""
    from lsr.kernels import search as segments
    from lsr.kernels.traversals.approximate import Limits
    from lsr.kernels.traversals.names import TRAVERSALS as KERNEL_TRAVERSALS

    return SimpleNamespace(
        Queries=segments.Queries,
        BatchResults=segments.BatchResults,
        Limits=Limits,
        describe=segments.describe,
        rank=segments.rank,
        rank_many=segments.rank_many,
        rank_approximately=segments.rank_approximately,
        filter=[segments.ALLOWED, segments.N_ALLOWED, segments.N_DENIED],
        columns=segments.COLUMNS,
        planned=segments.PLANNED,
        traversals=KERNEL_TRAVERSALS,
    )


class _ScratchPool(threading.local):
    """Scratch arrays of each thread, for the largest segment, grown when a query has more rare terms."""

    def __init__(self) -> None:
        self._held: Any = None
        self._row: Any = None

    def take(self, n_superblocks: int, n_rare: int) -> Any:
        """Return the row of scratch as compiled code takes it; the pool keeps the arrays alive."""
        if self._held is None or len(self._held.places) < n_rare:
            from lsr.kernels.search import describe_scratch
            from lsr.kernels.traversals.scratch import make_scratch

            self._held = make_scratch(n_superblocks, max(2 * n_rare, 16))
            self._row = describe_scratch(self._held)
        return self._row


class Engine:
    """Search over an open index, exact unless asked otherwise; safe to call from many threads at once."""

    def __init__(self, index: StoredIndex) -> None:
        self.index = index
        self._pool = _ScratchPool()
        self._by_doc_ord: dict[int, npt.NDArray[np.uint32]] = {}
        sizes = np.array([segment.n_docs for segment in index.segments], np.int64)
        # The largest first: the threshold that it reaches spares the others most.
        self._order = np.argsort(-sizes, kind="stable").tolist()
        self._not_searched = np.full(len(sizes), NOT_SEARCHED)
        self._n_superblocks = int(-(-sizes.max(initial=0) // SUPERBLOCK))

    @cached_property
    def _table(self) -> npt.NDArray[np.int64]:
        """The segments as compiled code takes them, their small arrays verified. Raises IndexDamagedError."""
        kernels = _kernels()
        table = np.empty((len(self.index.segments), kernels.columns), np.int64)
        for i, number in enumerate(self._order):
            segment = self.index.segments[number]
            segment.trust()
            insertion, base = self._insertion(number)
            postings, n_deleted = segment.postings._replace(insertion=insertion), segment.info.n_deleted
            arrays = postings, segment.terms, segment.kth_impact, segment.trusted, segment.allowed
            table[i] = kernels.describe(*arrays, number=number, base=base, n_denied=n_deleted)
        return table

    def _insertion(self, number: int) -> tuple[npt.NDArray[np.uint32], int]:
        """Return doc_ord → position, less the second value. Raises IndexDamagedError."""
        places, insertion = self.index.places, self.index.segments[number].arrays["insertion"]
        if places.is_sequential:
            return insertion, int(places.starts[number])
        if number not in self._by_doc_ord:
            self._by_doc_ord[number] = places.at(number, insertion).astype(np.uint32)
        return self._by_doc_ord[number], 0

    def _table_for(self, allowed: DocumentFilter | None) -> npt.NDArray[np.int64]:
        """Return the segments' table with a filter in it. Raises IndexDamagedError."""
        if allowed is None:
            return self._table
        table = self._table.copy()
        # A filter may deny all documents, so that no score is known that k others reach.
        bitmaps = [(allowed.bitmaps[number], self.index.segments[number].n_docs) for number in self._order]
        table[:, _kernels().filter] = [(bitmap.ctypes.data, len(bitmap), n_docs) for bitmap, n_docs in bitmaps]
        return table

    def _checked_k(self, k: int) -> int:
        """Return k, or the number of documents if that is less. Compiled code would read beyond a heap of none."""
        if k < 1:
            raise UsageError(f"k is {k}; it must be at least 1")
        return min(k, max(len(self.index), 1))

    def rank(
        self,
        term_ids: npt.NDArray[np.int32],
        weights: npt.NDArray[np.float32],
        k: int,
        *,
        once: bool = False,
        traversal: str | None = None,
        allowed: DocumentFilter | None = None,
        approximate: Approximate | None = None,
        account: npt.NDArray[np.int64] | None = None,
    ) -> Ranking:
        """Return the k best documents of a sparse query.

        term_ids: ascending, unique. weights: finite, not negative. k: at least 1. once: the process has no
        other query to serve. traversal: one of TRAVERSALS, instead of the planner's choice. allowed: the
        documents that may be found, default all. approximate: search so, instead of exactly, wherever postings
        are pruned at all; `traversal` then means nothing. account: of `lsr.kernels.traversals.account`, to which the
        steps of the compiled search are added. Raises UsageError for weights or a traversal that can't be,
        or a filter of another generation of the index.
        """
        if traversal is not None and traversal not in TRAVERSALS:
            raise UsageError(f"no traversal {traversal!r}: there are {', '.join(TRAVERSALS)}")
        if allowed is not None:
            allowed.check(self.index)
        integers, factor = integer_weights(weights)
        k = self._checked_k(k)
        scale = self.index.manifest.scale / factor
        limit = None if traversal else self._plain_postings(once)
        if approximate is None and (traversal == "plain" or limit):
            ranking = self._rank_plain(term_ids, integers, k, allowed, scale, limit)
            if ranking is not None:
                return ranking
        return self._rank_compiled(term_ids, integers, k, traversal, allowed, approximate, scale, account)

    def rank_many(
        self,
        queries: Sequence[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]],
        k: int,
        *,
        allowed: DocumentFilter | None = None,
    ) -> list[Ranking]:
        """Return the k best documents of each of several queries, which compiled code takes one after another.

        That spares threads the waiting for each other that calls of Python need. For the arguments see `rank`.
        """
        if allowed is not None:
            allowed.check(self.index)
        if not queries:
            return []
        if self._plain_postings(once=False):
            return [self.rank(terms, weights, k, allowed=allowed) for terms, weights in queries]
        kernels, n = _kernels(), len(queries)
        k = self._checked_k(k)
        integers = [integer_weights(weights) for _, weights in queries]
        starts = np.concatenate([[0], np.cumsum([len(terms) for terms, _ in queries])]).astype(np.int64)
        term_ids = np.concatenate([terms for terms, _ in queries])
        weights = np.concatenate([weights for weights, _ in integers])
        batch = kernels.Queries(starts, term_ids, weights)
        results = kernels.BatchResults(
            heaps=np.zeros((n, k), np.uint64),
            visits=np.zeros((n, 3), np.int64),
            traversals=np.tile(self._not_searched, (n, 1)),
            n_postings=np.zeros(n, np.int64),
        )
        call = self._table_for(allowed), batch, kernels.planned, results
        scratch = self._pool.take(self._n_superblocks, 0)
        done = 0
        while True:
            done, n_untrusted, most_rare = kernels.rank_many(done, *call, scratch)
            if done == n:
                break
            if n_untrusted:
                own = slice(starts[done], starts[done + 1])
                self._trust(term_ids[own][weights[own] > 0])
            else:
                scratch = self._pool.take(self._n_superblocks, most_rare)
        rankings = []
        for i, (_, factor) in enumerate(integers):
            positions, scores = _read(results.heaps[i], self.index.manifest.scale / factor)
            n_postings = int(results.n_postings[i])
            rankings.append(_ranking(positions, scores, results.traversals[i], n_postings, results.visits[i]))
        return rankings

    def _plain_postings(self, once: bool) -> int:
        """Return the postings up to which numpy answers a query, 0 where compiled code does. once: see `rank`."""
        if once and not compiled_is_loaded():
            return PLAIN_POSTINGS
        return 0 if COMPILING.is_done() else PLAIN_WHILE_COMPILING

    def _rank_plain(
        self,
        term_ids: npt.NDArray[np.int32],
        integers: npt.NDArray[np.uint32],
        k: int,
        allowed: DocumentFilter | None,
        scale: float,
        limit: int | None,
    ) -> Ranking | None:
        """Return the ranking, or None where there are more postings than `limit`, so that compiled code is faster."""
        found, n_postings = [], 0
        for number, segment in enumerate(self.index.segments):
            segment.trust()
            terms, at = segment.local_terms(term_ids)
            used = integers[at] > 0
            terms = terms[used]
            if len(terms) == 0:
                continue
            n_postings += int(segment.df(terms).sum())
            found.append((number, segment, terms, integers[at][used]))
        if limit is not None and n_postings > limit:
            return None
        keys = np.empty(0, np.uint64)
        for number, segment, terms, weights in found:
            segment.trust(terms)
            bitmap = segment.allowed if allowed is None else allowed.bitmaps[number]
            insertion, base = self._insertion(number)
            of_it = search_plain(segment.arrays | {"insertion": insertion}, terms, weights, base, bitmap, k)
            keys = np.sort(np.concatenate([keys, of_it]))[-k:]
        positions, scores = _read(keys, scale)
        return Ranking(positions, scores, ("plain",) * len(found), n_postings)

    def _rank_compiled(
        self,
        term_ids: npt.NDArray[np.int32],
        integers: npt.NDArray[np.uint32],
        k: int,
        traversal: str | None,
        allowed: DocumentFilter | None,
        approximate: Approximate | None,
        scale: float,
        account: npt.NDArray[np.int64] | None,
    ) -> Ranking:
        kernels = _kernels()
        accounts = () if account is None else (account,)
        query = self._table_for(allowed), term_ids, integers
        heap, visits, traversals = results = np.zeros(k, np.uint64), np.zeros(3, np.int64), self._not_searched.copy()
        scratch = self._pool.take(self._n_superblocks, 0)
        while True:
            if approximate is None:
                number = kernels.planned if traversal is None else kernels.traversals.index(traversal)
                found = kernels.rank(*query, number, *results, scratch, *accounts)
            else:
                limits = kernels.Limits(
                    approximate.alpha, approximate.most_superblocks(k), approximate.query_cut or NO_LIMIT
                )
                found = kernels.rank_approximately(*query, limits, *results, scratch, *accounts)
            n_postings, n_untrusted, most_rare = found
            if n_untrusted:
                self._trust(term_ids[integers > 0])
            elif most_rare > scratch[-1]:
                scratch = self._pool.take(self._n_superblocks, most_rare)
            else:
                break
        heap.sort()
        positions, scores = _read(heap, scale)
        if approximate is None:
            return _ranking(positions, scores, traversals, n_postings, visits)
        ran = ("approximate",) * int(np.count_nonzero(traversals != NOT_SEARCHED))
        n_bounded, n_scored, n_skipped = visits.tolist()
        return Ranking(positions, scores, ran, n_postings, n_bounded, n_scored, n_skipped, approximate)

    def _trust(self, term_ids: npt.NDArray[np.int32]) -> None:
        """Verify what the segments have of some terms. Raises IndexDamagedError."""
        for segment in self.index.segments:
            segment.trust(segment.local_terms(term_ids)[0])


def _ranking(
    positions: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    traversals: npt.NDArray[np.int64],
    n_postings: int,
    visits: npt.NDArray[np.int64],
) -> Ranking:
    """Return an exact ranking of compiled code, from what that counted."""
    names = _kernels().traversals
    ran = tuple([names[number] for number in traversals.tolist() if number != NOT_SEARCHED])
    n_bounded, n_scored, n_pages = visits.tolist()
    return Ranking(positions, scores, ran, n_postings, n_bounded, n_scored + n_pages * PAGE_SUPERBLOCKS)


def _read(keys: npt.NDArray[np.uint64], scale: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return positions and scores, the best first, of sorted keys (`lsr.kernels.traversals.topk`); 0 is none."""
    if len(keys) and not keys[0]:
        keys = keys[np.count_nonzero(keys == 0) :]
    keys = keys[::-1]
    return (~keys & LOW_32).view(np.int64), (keys >> HIGH_32).astype(np.float64) * scale
