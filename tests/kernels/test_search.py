"""All segments searched in one call give what the dense matrix gives, and nothing is searched unverified."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from kernel_cases import (
    STORED_K,
    GuardedScratch,
    bitmap,
    draw_any_query,
    draw_collection,
    forward_rows,
    hits,
    invert,
    property_cases,
    seeds,
    sizes,
)
from kernel_oracle import rank_by_matrix

from lsr.kernels.build.kth_impacts import kth_impacts
from lsr.kernels.geometry import SUPERBLOCK
from lsr.kernels.search import (
    ALLOWED,
    N_ALLOWED,
    N_DENIED,
    PLANNED,
    describe,
    describe_scratch,
    postings_of,
    rank,
    rank_approximately,
)
from lsr.kernels.traversals.approximate import Limits
from lsr.kernels.traversals.names import BLOCKMAX, EXHAUSTIVE, SUPERBLOCK_MAX
from lsr.kernels.traversals.topk import NO_FILTER

NO_LIMIT = 2**62
UNLIMITED = Limits(1.0, NO_LIMIT, NO_LIMIT)
MOST_TERMS = 150
CHOICES = (PLANNED, EXHAUSTIVE, BLOCKMAX, SUPERBLOCK_MAX)
UNWRITTEN = -7


@dataclass
class Divided:
    """A collection in segments, each of which knows only the terms that occur in it; some documents are deleted."""

    matrix: np.ndarray
    cuts: list[int]
    live: np.ndarray
    rng: np.random.Generator
    table: np.ndarray = field(init=False)
    orders: list[np.ndarray] = field(default_factory=list)
    terms: list[np.ndarray] = field(default_factory=list)
    trusted: list[np.ndarray] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = np.array([self._segment(*span) for span in self.spans()])

    def spans(self) -> list[tuple[int, int]]:
        return list(zip([0, *self.cuts], [*self.cuts, len(self.matrix)], strict=True))

    def _segment(self, start: int, end: int) -> np.ndarray:
        terms, order = np.flatnonzero(self.matrix[start:end].any(axis=0)), self.rng.permutation(end - start)
        part, live = self.matrix[start:end, terms], self.live[start:end]
        arrays = (
            invert(part, order),
            terms.astype(np.uint32),
            kth_impacts(*forward_rows(part), len(terms), STORED_K),
            np.ones(len(terms), bool),
            NO_FILTER if live.all() else bitmap(live[order]),
        )
        self.orders.append(order)
        self.terms.append(terms)
        self.trusted.append(arrays[3])
        self.kept.append(arrays)
        number = len(self.kept) - 1
        return describe(*arrays, number=number, base=start, n_denied=int(np.count_nonzero(~live)))

    def filtered(self, allowed: np.ndarray) -> np.ndarray:
        """Return the table with a filter, by position, instead of what is deleted."""
        table = self.table.copy()
        words = [bitmap(allowed[s:e][order]) for (s, e), order in zip(self.spans(), self.orders, strict=True)]
        self.kept.append(words)
        table[:, ALLOWED], table[:, N_ALLOWED] = [w.ctypes.data for w in words], [len(w) for w in words]
        table[:, N_DENIED] = [end - start for start, end in self.spans()]
        return table

    def scratch(self, n_rare: int = MOST_TERMS) -> GuardedScratch:
        return GuardedScratch(-(-max(end - start for start, end in self.spans()) // SUPERBLOCK), n_rare)

    def rank(
        self,
        query: tuple[np.ndarray, np.ndarray],
        k: int,
        *,
        table: np.ndarray | None = None,
        traversal: int = PLANNED,
        limits: Limits | None = None,
        n_rare: int = MOST_TERMS,
    ) -> tuple[list[tuple[int, int]], tuple[int, ...], list[int]]:
        """Return the hits, what `rank` returns, and what it writes to the traversals."""
        scratch = self.scratch(n_rare)
        heap, traversals = np.zeros(k, np.uint64), np.full(len(self.table), UNWRITTEN)
        order = self.rng.permutation(len(self.table))
        by_id = np.argsort(query[0])
        ordered = (self.table if table is None else table)[order]
        call = ordered, query[0][by_id].astype(np.int32), query[1][by_id]
        results = heap, np.zeros(3, np.int64), traversals, describe_scratch(scratch.arrays)
        returned = rank(*call, traversal, *results) if limits is None else rank_approximately(*call, limits, *results)
        scratch.check()
        return hits(heap), tuple(map(int, returned)), traversals.tolist()


def draw_divided(seed: int, n_docs: int, *, deleted: float) -> tuple[Divided, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    collection = draw_collection(rng, n_docs)
    cuts = np.sort(rng.integers(0, n_docs + 1, int(rng.integers(0, 6)))).tolist()
    live = rng.random(n_docs) >= deleted
    return Divided(collection.matrix(), cuts, live, rng), draw_any_query(rng, collection.n_terms)


@property_cases(1)
@given(seed=seeds, n_docs=sizes)
def test_every_traversal_equals_the_matrix_however_documents_are_divided(seed: int, n_docs: int) -> None:
    rng = np.random.default_rng(seed)
    divided, query = draw_divided(seed, n_docs, deleted=float(rng.choice((0.0, 0.1, 0.9))))
    k, traversal = int(rng.choice((1, 2, 10, 100, n_docs + 5))), int(rng.choice(CHOICES))
    found, (n_postings, n_untrusted, most_rare), ran = divided.rank(query, k, traversal=traversal)
    assert found == rank_by_matrix(divided.matrix, *query, divided.live, 1, k)
    used = query[0][query[1] > 0]
    assert n_postings == np.count_nonzero(divided.matrix[:, used])
    assert n_untrusted == 0 and most_rare <= len(used)
    searched = [bool(np.isin(terms, used).any()) for terms in divided.terms]
    assert [number != UNWRITTEN for number in ran] == searched
    assert traversal == PLANNED or set(ran) - {UNWRITTEN} <= {traversal}


@property_cases(2)
@given(seed=seeds, n_docs=sizes)
def test_a_filter_takes_the_place_of_what_is_deleted(seed: int, n_docs: int) -> None:
    rng = np.random.default_rng(seed)
    divided, query = draw_divided(seed, n_docs, deleted=0.1)
    allowed = divided.live & (rng.random(n_docs) < rng.choice((0.0, 0.05, 0.7)))
    k = int(rng.choice((1, 10, 100)))
    found, _, _ = divided.rank(query, k, table=divided.filtered(allowed), traversal=int(rng.choice(CHOICES)))
    assert found == rank_by_matrix(divided.matrix, *query, allowed, 1, k)


@property_cases(4)
@given(seed=seeds, n_docs=sizes)
def test_approximately_scores_are_true_and_without_limits_all_is_exact(seed: int, n_docs: int) -> None:
    divided, query = draw_divided(seed, n_docs, deleted=0.1)
    truth = rank_by_matrix(divided.matrix, *query, divided.live, 1, max(n_docs, 1))
    assert divided.rank(query, 10, limits=UNLIMITED)[0] == truth[:10]
    found, _, _ = divided.rank(query, 10, limits=Limits(0.7, 2, 3))
    assert set(found) <= set(truth)


@property_cases(8)
@given(seed=seeds, n_docs=sizes)
def test_nothing_is_searched_before_all_terms_are_verified(seed: int, n_docs: int) -> None:
    divided, query = draw_divided(seed, n_docs, deleted=0.0)
    used = query[0][query[1] > 0]
    expected = 0
    for trusted, terms in zip(divided.trusted, divided.terms, strict=True):
        trusted[:] = divided.rng.random(len(terms)) < 0.5
        expected += int(np.count_nonzero(np.isin(terms, used) & ~trusted))
    for limits in (None, UNLIMITED):
        found, (_, n_untrusted, _), ran = divided.rank(query, 10, limits=limits)
        assert n_untrusted == expected
        if expected:
            assert found == [] and set(ran) == {UNWRITTEN}


@property_cases(8)
@given(seed=seeds, n_docs=sizes)
def test_nothing_is_searched_without_room_for_the_rare_terms(seed: int, n_docs: int) -> None:
    divided, query = draw_divided(seed, n_docs, deleted=0.0)
    exact, (_, _, most_rare), _ = divided.rank(query, 10)
    for limits in (None, UNLIMITED):
        assert divided.rank(query, 10, n_rare=most_rare, limits=limits)[0] == exact
        if most_rare:
            assert divided.rank(query, 10, n_rare=most_rare - 1, limits=limits)[0] == []


def test_a_row_gives_back_the_arrays_it_was_made_of() -> None:
    divided, _ = draw_divided(3, 300, deleted=0.0)
    for row, arrays in zip(divided.table, divided.kept, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(postings_of(row), arrays[0], strict=True))


def test_arrays_with_gaps_are_refused() -> None:
    divided, _ = draw_divided(3, 300, deleted=0.0)
    arrays = divided.kept[0]
    with pytest.raises(ValueError, match="contiguous"):
        describe(arrays[0], arrays[1][::2], *arrays[2:], number=0, base=0, n_denied=0)


def test_an_index_without_segments_has_nothing() -> None:
    empty = Divided(np.zeros((0, 5), np.uint8), [], np.ones(0, bool), np.random.default_rng(0))
    assert empty.rank((np.arange(5), np.ones(5, np.uint32)), 3)[0] == []
