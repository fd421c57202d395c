"""Runs a query over the segments of an index: terms to local ids, floor, traversal, one heap for all."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.indexer.index import Index
from lsr.indexer.segment import STORED_K, SUPERBLOCK, Segment
from lsr.query.integers import integer_weights
from lsr.query.plain import search_plain
from lsr.query.planner import choose_traversal

NO_FILTER = np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a query found, best first. positions: int64, in the order in which documents were added to the
    index; scores: float64, the exact dot products times the scale; integers: uint32, before that.

    traversals names what ran in each segment; postings counts those of the query's terms.
    """

    positions: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    integers: npt.NDArray[np.uint32]
    traversals: tuple[str, ...] = ()
    n_postings: int = 0
    superblocks: tuple[int, int] = field(default=(0, 0))

    def __len__(self) -> int:
        return len(self.positions)


class _ScratchPool(threading.local):
    """Scratch arrays of each thread, grown when a larger segment or query needs it, then kept."""

    scratch: Any = None

    def take(self, n_superblocks: int, n_nodes: int) -> Any:
        from lsr.kernels.scratch import make_scratch

        held = self.scratch
        if held is None or len(held.peaks) < n_superblocks or len(held.node_next) <= n_nodes:
            n_superblocks = max(n_superblocks, 0 if held is None else len(held.peaks))
            n_nodes = max(2 * n_nodes, 0 if held is None else len(held.node_next))
            held = self.scratch = make_scratch(n_superblocks, n_nodes)
        bounds = held.bounds[: n_superblocks * (len(held.bounds) // max(len(held.peaks), 1))]
        return held._replace(
            bounds=bounds,
            peaks=held.peaks[:n_superblocks],
            queue=held.queue[:n_superblocks],
            head=held.head[:n_superblocks],
        )


class Engine:
    """Exact search over an open index; safe to call from many threads at once."""

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
    ) -> Ranking:
        """Return the k best documents of a sparse query. term_ids: ascending, unique; k ≥ 1.

        once: the process has no other query to serve. traversal: instead of the planner's choice.
        """
        integers, factor = integer_weights(weights)
        used = integers > 0
        term_ids, integers = np.asarray(term_ids)[used], integers[used]
        k = max(1, min(k, len(self.index)))
        heap = np.zeros(k, np.uint64)
        local = [segment.local_terms(term_ids) for segment in self.index.segments]
        floor = max(
            [1]
            + [
                self._floor(segment, terms, integers[at], k)
                for segment, (terms, at) in zip(self.index.segments, local, strict=True)
            ]
        )
        names, n_postings = [], 0
        visits = np.zeros(2, np.int64)
        for segment, base, (terms, at) in zip(self.index.segments, self.first_positions[:-1], local, strict=True):
            if len(terms) == 0:
                continue
            df = segment.df(terms)
            n_postings += int(df.sum())
            name = traversal or choose_traversal(segment.n_docs, int(df.sum()), k, once=once)
            names.append(name)
            heap = self._traverse(name, segment, terms, integers[at], df, int(base), floor, heap, visits)
        keys = np.sort(heap[heap > 0])[::-1]
        scores = (keys >> np.uint64(32)).astype(np.uint32)
        positions = 0xFFFFFFFF - (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
        scale = self.index.manifest.scale / factor
        return Ranking(
            positions,
            scores.astype(np.float64) * scale,
            scores,
            tuple(names),
            n_postings,
            (int(visits[0]), int(visits[1])),
        )

    @staticmethod
    def _floor(segment: Segment, terms: npt.NDArray[np.int64], weights: npt.NDArray[np.uint32], k: int) -> int:
        """Return a score that at least k documents of the segment reach, or 1."""
        column = next((j for j, stored in enumerate(STORED_K) if stored >= k), None)
        if column is None or len(terms) == 0:
            return 1
        return max(1, int((weights.astype(np.int64) * segment.kth_impact[terms, column]).max()))

    def _traverse(
        self,
        name: str,
        segment: Segment,
        terms: Any,
        weights: Any,
        df: Any,
        base: int,
        floor: int,
        heap: Any,
        visits: Any,
    ) -> Any:
        if name == "plain":
            keys = search_plain(segment.arrays, terms, weights, base, NO_FILTER, len(heap))
            return np.sort(np.concatenate([heap, keys]))[-len(heap) :]
        rare = int(df[segment.arrays["row"][terms] < 0].sum())
        scratch = self._pool.take(-(-segment.n_docs // SUPERBLOCK), rare)
        if name == "exhaustive":
            from lsr.kernels.exhaustive import search_exhaustive

            search_exhaustive(segment.postings, terms, weights, base, NO_FILTER, np.uint64(floor), heap, scratch)
        else:
            from lsr.kernels.blockmax import search_blockmax

            search_blockmax(segment.postings, terms, weights, base, NO_FILTER, np.uint64(floor), heap, scratch, visits)
        return heap
