"""A query in all segments of an index at once: one call, however many segments there are.

Calling a kernel costs more than searching a small segment, so that many small segments would be slow if each took its
own calls. They share one heap, and the threshold reached so far is passed on from one to the next; the order in which
they are searched changes no result, since a key contains the document's position.

Numba takes a fifth of a microsecond to unpack an array that Python passes, half of one more for a named tuple. So
`rank`, which is called once a query, takes what stays the same as tables of addresses; named tuples begin behind it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.build.layout import Postings
from lsr.kernels.geometry import PAGE_BLOCKS, RUN, STORED_K, SUPERBLOCK, SUPERBLOCK_BITS, SUPERBLOCK_BLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.arrays_at import int32_at, int64_at, uint8_at, uint32_at, uint64_at
from lsr.kernels.traversals.approximate import search_approximately
from lsr.kernels.traversals.blockmax import search_blockmax
from lsr.kernels.traversals.exhaustive import WINDOW, search_exhaustive
from lsr.kernels.traversals.names import BLOCKMAX, EXHAUSTIVE
from lsr.kernels.traversals.planner import cheapest, most_superblocks
from lsr.kernels.traversals.scratch import Scratch
from lsr.kernels.traversals.superblock import search_superblock
from lsr.kernels.traversals.term_lookup import locate
from lsr.kernels.traversals.topk import Admission

N_ARRAYS = len(Postings._fields)
TERMS, KTH_IMPACT, TRUSTED, ALLOWED = range(N_ARRAYS, N_ARRAYS + 4)
N_DOCS, N_TERMS, N_FREQUENT, N_FREQUENT_POSTINGS, N_RARE_POSTINGS, N_ALLOWED, NUMBER, BASE, N_DENIED = range(
    N_ARRAYS + 4, N_ARRAYS + 13
)
COLUMNS = N_ARRAYS + 13
"""Columns of a table of segments.

They are the addresses of the fields of `Postings`, in their order, and of the arrays that `describe` takes; then
lengths and numbers.
"""
STORED = np.array(STORED_K, np.int64)
FOUND, RARE, POSTINGS, POSTINGS_OF_RARE, UNTRUSTED, COUNTS = range(6)
"""Columns of `Located.counts`.

They are the query's terms in a segment, the rare ones, all postings, those of rare terms, and terms whose postings
are not verified yet.
"""
PLANNED = -1
NEVER = 1 << 62


class Query(NamedTuple):
    """A query: term_ids, int32, ascending, unique; weights, uint32, Σ weight · 255 < 2³²."""

    term_ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.uint32]


class Queries(NamedTuple):
    """Queries, one after another. starts: int64, (n_queries + 1), where each one's terms begin. See `Query`."""

    starts: npt.NDArray[np.int64]
    term_ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.uint32]


class Results(NamedTuple):
    """The arrays to which a search writes.

    heap: uint64, (k), zeros on entry. visits: int64, (3), is added to: see `search_blockmax`. traversals: int64,
    (n_segments), by number: nothing is written where a segment has no term.
    """

    heap: npt.NDArray[np.uint64]
    visits: npt.NDArray[np.int64]
    traversals: npt.NDArray[np.int64]


class BatchResults(NamedTuple):
    """The arrays to which a search of several queries writes: those of `Results`, a row a query.

    heaps: uint64, (n_queries, k), sorted when done. visits: int64, (n_queries, 3). traversals: int64, (n_queries,
    n_segments). n_postings: int64, (n_queries), postings of each one's terms.
    """

    heaps: npt.NDArray[np.uint64]
    visits: npt.NDArray[np.int64]
    traversals: npt.NDArray[np.int64]
    n_postings: npt.NDArray[np.int64]


class Located(NamedTuple):
    """A query's terms in all segments.

    terms: int64, weights: uint32, (n_segments, n_terms): see `locate`. counts: int64, (n_segments, COUNTS). n_postings,
    n_untrusted: of all segments. most_rare: the most rare terms in a segment. reached: uint64, a score that k
    documents reach.
    """

    terms: npt.NDArray[np.int64]
    weights: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.int64]
    n_postings: int
    n_untrusted: int
    most_rare: int
    reached: np.uint64


def describe(
    postings: Postings,
    terms: npt.NDArray[np.uint32],
    kth_impact: npt.NDArray[np.uint8],
    trusted: npt.NDArray[np.bool_],
    allowed: npt.NDArray[np.uint64],
    *,
    number: int,
    base: int,
    n_denied: int,
) -> npt.NDArray[np.int64]:
    """Return the row of a segment in a table of segments: int64, (COLUMNS). The arrays must outlive it.

    terms: see `locate`. kth_impact: uint8, (n_terms, len(STORED_K)). trusted: bool, (n_terms), whether a term's
    postings are verified. allowed, base: see `topk.Admission`. number: the column of the segment in
    `Results.traversals`. n_denied: the number of documents that `allowed` doesn't allow, or more if it isn't known.
    """
    arrays: tuple[npt.NDArray[Any], ...] = (*postings, terms, kth_impact, trusted, allowed)
    if not all(array.flags.c_contiguous for array in arrays):
        raise ValueError("an array of a segment isn't contiguous")
    addresses = [array.ctypes.data for array in arrays]
    lengths = [len(a) for a in (postings.insertion, terms, postings.runs, postings.frequent, postings.rare, allowed)]
    return np.array([*addresses, *lengths, number, base, n_denied], np.int64)


@kernel
def postings_of(segment):
    """Return the postings of a row of a table of segments."""
    n_docs, n_terms, n_frequent = segment[N_DOCS], segment[N_TERMS], segment[N_FREQUENT]
    n_superblocks = (n_docs + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    return Postings(
        int32_at(segment[0], (n_terms,)),
        uint8_at(segment[1], (n_frequent, n_superblocks * SUPERBLOCK_BLOCKS)),
        uint8_at(segment[2], (n_frequent, n_superblocks)),
        uint32_at(segment[3], (n_frequent, n_superblocks * RUN)),
        int64_at(segment[4], (n_frequent + 1,)),
        uint8_at(segment[5], (segment[N_FREQUENT_POSTINGS],)),
        int64_at(segment[6], (n_terms - n_frequent + 1,)),
        uint32_at(segment[7], (segment[N_RARE_POSTINGS],)),
        uint32_at(segment[8], (n_docs,)),
    )


@kernel
def admission_of(segment, initial_threshold):
    """Return the documents of a row of a table of segments that may be found."""
    return Admission(segment[BASE], uint64_at(segment[ALLOWED], (segment[N_ALLOWED],)), initial_threshold)


@kernel
def locate_segments(table, query, k):
    """Locate a query's terms in all segments. See `Located`.

    Of a segment with d documents denied, the (k + d)-th largest impact of a term is reached by k documents.
    """
    terms = np.empty((len(table), len(query.term_ids)), np.int64)
    weights = np.empty((len(table), len(query.term_ids)), np.uint32)
    counts = np.empty((len(table), COUNTS), np.int64)
    n_postings, n_untrusted, most_rare = 0, 0, 0
    reached = np.uint64(1)
    for s in range(table.shape[0]):
        segment = table[s]
        n_terms = segment[N_TERMS]
        column = STORED.size - 1
        while column > 0 and STORED[column - 1] >= k + segment[N_DENIED]:
            column -= 1
        found = locate(
            postings_of(segment),
            uint32_at(segment[TERMS], (n_terms,)),
            uint8_at(segment[KTH_IMPACT], (n_terms, STORED.size)),
            column if STORED[column] >= k + segment[N_DENIED] else -1,
            query.term_ids,
            query.weights,
            terms[s],
            weights[s],
        )
        trusted = uint8_at(segment[TRUSTED], (n_terms,))
        untrusted = 0
        for i in range(found.n_terms):
            untrusted += trusted[terms[s, i]] == 0
        counts[s, FOUND], counts[s, RARE], counts[s, POSTINGS] = found.n_terms, found.n_rare, found.n_postings
        counts[s, POSTINGS_OF_RARE], counts[s, UNTRUSTED] = found.n_rare_postings, untrusted
        n_postings += found.n_postings
        n_untrusted += untrusted
        most_rare = max(most_rare, found.n_rare)
        reached = max(reached, found.reached)
    return Located(terms, weights, counts, n_postings, n_untrusted, most_rare, reached)


def describe_scratch(scratch: Scratch) -> npt.NDArray[np.int64]:
    """Return the addresses of scratch, and the most rare terms that it is for: int64. The arrays must outlive it."""
    return np.array([*(array.ctypes.data for array in scratch), len(scratch.places)], np.int64)


@kernel
def scratch_of(scratch, n_superblocks, n_rare):
    """Return scratch for a segment and query out of a larger one. scratch: see `describe_scratch`."""
    return Scratch(
        uint32_at(scratch[0], (n_superblocks * SUPERBLOCK_BLOCKS,)),
        uint32_at(scratch[1], (n_superblocks,)),
        uint32_at(scratch[2], (n_superblocks,)),
        uint32_at(scratch[3], (n_superblocks,)),
        uint32_at(scratch[4], (n_rare, n_superblocks)),
        uint32_at(scratch[5], (WINDOW,)),
        uint32_at(scratch[6], (PAGE_BLOCKS,)),
    )


@kernel
def search_segments(table, located, traversal, results, scratch, account=None):
    """Leave the best documents of all segments in the heap of `results`. For the arguments see `rank`."""
    heap, visits = results.heap, results.visits
    n_before = 0
    for s in range(len(table)):
        n, n_rare, segment = located.counts[s, FOUND], located.counts[s, RARE], table[s]
        if n == 0:
            continue
        n_superblocks = (segment[N_DOCS] + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
        own = traversal
        if traversal == PLANNED:
            own = cheapest(n_superblocks, n_before, n, n_rare, located.counts[s, POSTINGS_OF_RARE], heap.size)
        results.traversals[segment[NUMBER]] = own
        n_before += n_superblocks
        postings, some = postings_of(segment), scratch_of(scratch, n_superblocks, n_rare)
        admission = admission_of(segment, located.reached)
        terms, weights = located.terms[s, :n], located.weights[s, :n]
        if own == EXHAUSTIVE:
            search_exhaustive(postings, terms, weights, admission, heap, some)
        elif own == BLOCKMAX:
            most = most_superblocks(n_superblocks) if traversal == PLANNED else NEVER
            search_blockmax(postings, terms, weights, admission, heap, some, visits, most)
        else:
            search_superblock(postings, terms, weights, admission, heap, some, visits, account)


@kernel
def rank(table, term_ids, weights, traversal, heap, visits, traversals, scratch, account=None):
    """Leave the best documents of all segments in the heap, the same ones however they are divided into segments.

    table: int64, (n_segments, COLUMNS), rows as `describe` makes them, in the order in which to search them. term_ids,
    weights: see `Query`. traversal: one of `names.TRAVERSALS`, by number, or PLANNED. heap, visits, traversals: see
    `Results`. scratch: for the largest segment, see `describe_scratch`. account: of
    `lsr.kernels.traversals.account`, to which the steps of `superblock` are added, or None.

    Returns the number of postings, the number of untrusted terms, and the most rare terms in a segment. If a term is
    untrusted, or scratch is for fewer rare terms, nothing was searched: verify or allocate, and call again.
    """
    located = locate_segments(table, Query(term_ids, weights), heap.size)
    if located.n_untrusted == 0 and located.most_rare <= scratch[-1]:
        search_segments(table, located, traversal, Results(heap, visits, traversals), scratch, account)
    return located.n_postings, located.n_untrusted, located.most_rare


@kernel
def rank_many(first, table, queries, traversal, results, scratch):
    """Do what `rank` does for one query after another, from number `first` on, without returning in between.

    queries: see `Queries`; results: see `BatchResults`. Returns the number of queries done, and of the one that isn't
    what `rank` returned.
    """
    for q in range(first, queries.starts.size - 1):
        own = slice(queries.starts[q], queries.starts[q + 1])
        n_postings, n_untrusted, most_rare = rank(
            table,
            queries.term_ids[own],
            queries.weights[own],
            traversal,
            results.heaps[q],
            results.visits[q],
            results.traversals[q],
            scratch,
        )
        if n_untrusted or most_rare > scratch[-1]:
            return q, n_untrusted, most_rare
        results.n_postings[q] = n_postings
        results.heaps[q].sort()
    return queries.starts.size - 1, 0, 0


@kernel
def rank_approximately(table, term_ids, weights, limits, heap, visits, traversals, scratch, account=None):
    """Leave documents of all segments in the heap, not surely the best. See `rank`, and `approximate.Limits`.

    0 is written to the traversals where a segment has a term. There is no initial threshold: the documents that reach
    it might be skipped.
    """
    located = locate_segments(table, Query(term_ids, weights), heap.size)
    if located.n_untrusted == 0 and located.most_rare <= scratch[-1]:
        for s in range(len(table)):
            n, segment = located.counts[s, FOUND], table[s]
            if n == 0:
                continue
            traversals[segment[NUMBER]] = 0
            n_superblocks = (segment[N_DOCS] + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
            search_approximately(
                postings_of(segment),
                located.terms[s, :n],
                located.weights[s, :n],
                admission_of(segment, np.uint64(1)),
                heap,
                scratch_of(scratch, n_superblocks, located.counts[s, RARE]),
                visits,
                limits,
                account,
            )
    return located.n_postings, located.n_untrusted, located.most_rare
