"""Runs a query over the segments of an index: terms to local ids, floor, traversal, one heap for all."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.indexer.index import Index
from lsr.indexer.segment import STORED_K, SUPERBLOCK, Segment
from lsr.query.approximate import NO_LIMIT, Approximate
from lsr.query.filters import DocumentFilter
from lsr.query.integers import integer_weights
from lsr.query.plain import search_plain
from lsr.query.planner import TRAVERSALS, choose_traversal, most_superblocks

LOW_32, HIGH_32 = np.uint64(0xFFFFFFFF), np.uint64(32)
NEVER = 1 << 62
PAGE_SUPERBLOCKS = 4


class RankedLeg(NamedTuple):
    """What one leg of a hybrid search said of a ranking's documents.

    scores: float64, (n), NaN for a document that it didn't find. ranks: int64, (n), from 1, and 0 for such.
    """

    name: str
    scores: npt.NDArray[np.float64]
    ranks: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a query found, best first.

    positions: int64, documents by the order in which they were added to the index. scores: float64, the
    exact dot products of query weights and impacts, times the scale. traversals: what ran in each
    segment that has a term of the query; n_postings: of the query's terms; n_bounded,
    n_scored: superblocks whose bound reached the first threshold, and those scored, by traversals that prune.
    approximate: the settings of a search that may have missed documents, None for an exact one; n_skipped:
    superblocks that it passed over although their bound, as far as it was computed, reaches the last threshold.
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


class _Query(NamedTuple):
    """A query in one segment."""

    terms: npt.NDArray[np.int64]
    weights: npt.NDArray[np.uint32]
    n_terms: int
    n_rare: int
    n_postings: int
    n_rare_postings: int


@cache
def _kernels() -> SimpleNamespace:
    """Load the compiled kernels: late, since one query alone is done without them."""
    from lsr.kernels.approximate import search_approximately
    from lsr.kernels.blockmax import search_blockmax
    from lsr.kernels.exhaustive import search_exhaustive
    from lsr.kernels.locate import locate
    from lsr.kernels.superblock import search_superblock

    return SimpleNamespace(
        locate=locate,
        search_approximately=search_approximately,
        search_blockmax=search_blockmax,
        search_exhaustive=search_exhaustive,
        search_superblock=search_superblock,
    )


class _ScratchPool(threading.local):
    """Scratch arrays of each thread, one set a segment size, grown when a query has more rare terms."""

    def __init__(self) -> None:
        self._held: dict[int, Any] = {}

    def take(self, n_superblocks: int, n_rare: int) -> Any:
        held = self._held.get(n_superblocks)
        if held is None or len(held.places) < n_rare:
            from lsr.kernels.scratch import make_scratch

            held = self._held[n_superblocks] = make_scratch(n_superblocks, max(2 * n_rare, 16))
        return held


class Engine:
    """Search over an open index, exact unless asked otherwise; safe to call from many threads at once."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._pool = _ScratchPool()
        sizes = [segment.n_docs for segment in index.segments]
        self.first_positions = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

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
    ) -> Ranking:
        """Return the k best documents of a sparse query.

        term_ids: ascending, unique. weights: finite, not negative. k: at least 1. once: the process has no
        other query to serve. traversal: one of TRAVERSALS, instead of the planner's choice. allowed: the
        documents that may be found, default all. approximate: search so, instead of exactly, wherever postings
        are pruned at all; `traversal` then means nothing. Raises UsageError for weights or a traversal that can't be.
        """
        if traversal is not None and traversal not in TRAVERSALS:
            raise UsageError(f"no traversal {traversal!r}: there are {', '.join(TRAVERSALS)}")
        integers, factor = integer_weights(weights)
        k = min(k, max(len(self.index), 1))
        heap = np.zeros(k, np.uint64)
        visits, skipped = np.zeros(3, np.int64), np.zeros(3, np.int64)
        names: list[str] = []
        queries, floor = [], 1
        plain = traversal == "plain" and approximate is None
        for segment in self.index.segments:
            column = self._column(k + segment.info.n_deleted)
            compiled = approximate is not None or not (once or plain)
            query, reached = self._locate(segment, term_ids, integers, column, compiled=compiled)
            segment.trust(query.terms)
            queries.append(query)
            if allowed is None:
                floor = max(floor, reached)
        n_postings = 0
        for number, (segment, query) in enumerate(zip(self.index.segments, queries, strict=True)):
            if len(query.terms) == 0:
                continue
            n_postings += query.n_postings
            name = "approximate" if approximate is not None else traversal
            name = name or choose_traversal(-(-segment.n_docs // SUPERBLOCK), *query[2:], k, once=once)
            base = int(self.first_positions[number])
            bitmap = segment.allowed if allowed is None else allowed.bitmaps[number]
            names.append(name)
            planned = traversal is None
            if approximate is not None:
                self._approximate(approximate, segment, query, base, bitmap, heap, skipped)
                continue
            heap = self._traverse(name, segment, query, base, bitmap, floor, heap, visits, planned=planned)
        heap.sort()
        keys = (heap if heap[0] else heap[np.count_nonzero(heap == 0) :])[::-1]
        positions = (LOW_32 - (keys & LOW_32)).view(np.int64)
        scores = (keys >> HIGH_32).astype(np.float64) * (self.index.manifest.scale / factor)
        n_bounded = int(visits[0] + skipped[0])
        n_scored = int(visits[1] + visits[2] * PAGE_SUPERBLOCKS + skipped[1])
        return Ranking(positions, scores, tuple(names), n_postings, n_bounded, n_scored, int(skipped[2]), approximate)

    @staticmethod
    def _column(k: int) -> int:
        """Return the column of `kth_impact` for the k-th largest impact, −1 for none.

        Where d documents are deleted, only the (k + d)-th largest impact is sure to be reached by k others.
        """
        return bisect_left(STORED_K, k) if k <= STORED_K[-1] else -1

    @staticmethod
    def _locate(segment: Segment, term_ids: Any, integers: Any, column: int, *, compiled: bool) -> tuple[_Query, int]:
        """Return the query in a segment, and a score that k of its documents reach (1 if none is known)."""
        segment.trust()
        if compiled:
            kernels = _kernels()
            terms, weights = np.empty(len(term_ids), np.int64), np.empty(len(term_ids), np.uint32)
            n, n_rare, n_postings, n_rare_postings, floor = kernels.locate(
                segment.postings, segment.terms, segment.kth_impact, column, term_ids, integers, terms, weights
            )
            return _Query(terms[:n], weights[:n], n, n_rare, n_postings, n_rare_postings), int(floor)
        terms, at = segment.local_terms(term_ids)
        used = integers[at] > 0
        terms, weights = terms[used], integers[at][used]
        rare, df = segment.arrays["row"][terms] < 0, segment.df(terms)
        counts = len(terms), int(np.count_nonzero(rare)), int(df.sum()), int(df[rare].sum())
        return _Query(terms, weights, *counts), 1

    def _approximate(
        self,
        settings: Approximate,
        segment: Segment,
        query: _Query,
        base: int,
        allowed: npt.NDArray[np.uint64],
        heap: npt.NDArray[np.uint64],
        visits: npt.NDArray[np.int64],
    ) -> None:
        """Put documents of the segment into the heap, not surely the best.

        There is no first threshold: the documents that reach it might lie in what is passed over.
        """
        scratch = self._pool.take(-(-segment.n_docs // SUPERBLOCK), query.n_rare)
        limits = settings.alpha, settings.superblocks or NO_LIMIT, settings.query_cut or NO_LIMIT
        _kernels().search_approximately(
            segment.postings,
            query.terms,
            query.weights,
            base,
            allowed,
            np.uint64(1),
            heap,
            scratch,
            visits,
            *limits,
        )

    def _traverse(
        self,
        name: str,
        segment: Segment,
        query: _Query,
        base: int,
        allowed: npt.NDArray[np.uint64],
        floor: int,
        heap: npt.NDArray[np.uint64],
        visits: npt.NDArray[np.int64],
        *,
        planned: bool,
    ) -> npt.NDArray[np.uint64]:
        """Return the heap with the segment's best documents in it."""
        if name == "plain":
            keys = search_plain(segment.arrays, query.terms, query.weights, base, allowed, len(heap))
            return np.sort(np.concatenate([heap, keys]))[-len(heap) :]
        kernels = _kernels()
        scratch = self._pool.take(-(-segment.n_docs // SUPERBLOCK), query.n_rare)
        common = (segment.postings, query.terms, query.weights, base, allowed)
        if name == "blockmax":
            most = most_superblocks(-(-segment.n_docs // SUPERBLOCK)) if planned else NEVER
            kernels.search_blockmax(*common, np.uint64(floor), heap, scratch, visits, most)
            return heap
        if name == "exhaustive":
            kernels.search_exhaustive(*common, np.uint64(floor), heap, scratch)
        else:
            kernels.search_superblock(*common, np.uint64(floor), heap, scratch, visits)
        return heap
