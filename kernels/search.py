"""A query in all segments of an index at once: one call, however many segments there are.

Calling a kernel costs more than a small segment's search does, so that the segments which a growing index gathers
would be felt if each took calls of its own. They share one heap, and the threshold reached so far goes on from one to
the next; the order in which they are searched changes no result, since a key has the document's position in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.kernels.build.layout import Postings
from lsr.kernels.geometry import RUN, SUPERBLOCK, SUPERBLOCK_BITS, SUPERBLOCK_BLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.simd.arrays_at import int32_at, int64_at, uint8_at, uint32_at, uint64_at
from lsr.kernels.traversals.approximate import search_approximately
from lsr.kernels.traversals.blockmax import search_blockmax
from lsr.kernels.traversals.exhaustive import search_exhaustive
from lsr.kernels.traversals.planner import BLOCKMAX, EXHAUSTIVE, cheapest, most_superblocks
from lsr.kernels.traversals.scratch import Scratch
from lsr.kernels.traversals.superblock import search_superblock
from lsr.kernels.traversals.term_lookup import locate

N_ARRAYS = len(Postings._fields)
TERMS, KTH_IMPACT, TRUSTED, ALLOWED = range(N_ARRAYS, N_ARRAYS + 4)
N_DOCS, N_TERMS, N_FREQUENT, N_FREQUENT_POSTINGS, N_RARE_POSTINGS, N_ALLOWED, BASE, N_DELETED = range(
    N_ARRAYS + 4, N_ARRAYS + 12
)
COLUMNS = N_ARRAYS + 12
"""A row of a table of segments: the addresses of the fields of `Postings`, in their order, and of the arrays that
`describe` takes; then lengths and numbers.
"""
FOUND, RARE, POSTINGS, POSTINGS_OF_RARE, UNTRUSTED, COUNTS = range(6)
"""What `locate_segments` counts in a segment: the query's terms, the rare ones, all postings, those of rare ones, and
terms whose postings weren't verified yet."""
PLANNED = -1
NEVER = 1 << 62


def describe(
    postings: Postings,
    terms: npt.NDArray[np.uint32],
    kth_impact: npt.NDArray[np.uint8],
    trusted: npt.NDArray[np.bool_],
    allowed: npt.NDArray[np.uint64],
    *,
    base: int,
    n_deleted: int,
) -> npt.NDArray[np.int64]:
    """Return the row of a segment in a table of segments: int64, (COLUMNS). The arrays must outlive it.

    terms, kth_impact: see `locate`. trusted: which terms' postings are verified. allowed, base: see `topk.offer`.
    n_deleted: how many documents `allowed` doesn't allow.
    """
    arrays: tuple[npt.NDArray[Any], ...] = (*postings, terms, kth_impact, trusted, allowed)
    if not all(array.flags.c_contiguous for array in arrays):
        raise ValueError("an array of a segment isn't contiguous")
    addresses = [array.ctypes.data for array in arrays]
    lengths = [len(a) for a in (postings.insertion, terms, postings.runs, postings.frequent, postings.rare, allowed)]
    return np.array([*addresses, *lengths, base, n_deleted], np.int64)


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
def locate_segments(table, stored_k, k, term_ids, weights, terms, term_weights, counts):
    """Locate a query's terms in all segments: see `locate`.

    table: int64, (n_segments, COLUMNS). stored_k: int64, ascending, of the columns of `kth_impact`. terms: int64,
    term_weights: uint32, (n_segments, term_ids.size), counts: int64, (n_segments, COUNTS), are written. Returns how
    many postings there are, how many terms are untrusted, the most rare terms in a segment, and a score that k
    documents reach: of a segment with d documents deleted, the (k + d)-th largest impact of a term is reached by k.
    """
    n_postings, n_untrusted, most_rare = 0, 0, 0
    floor = np.uint64(1)
    for s in range(table.shape[0]):
        segment = table[s]
        n_terms = segment[N_TERMS]
        column = stored_k.size - 1
        while column > 0 and stored_k[column - 1] >= k + segment[N_DELETED]:
            column -= 1
        n, n_rare, of_terms, of_rare, reached = locate(
            postings_of(segment),
            uint32_at(segment[TERMS], (n_terms,)),
            uint8_at(segment[KTH_IMPACT], (n_terms, stored_k.size)),
            column if stored_k[column] >= k + segment[N_DELETED] else -1,
            term_ids,
            weights,
            terms[s],
            term_weights[s],
        )
        trusted = uint8_at(segment[TRUSTED], (n_terms,))
        untrusted = 0
        for i in range(n):
            untrusted += trusted[terms[s, i]] == 0
        counts[s, FOUND], counts[s, RARE], counts[s, POSTINGS] = n, n_rare, of_terms
        counts[s, POSTINGS_OF_RARE], counts[s, UNTRUSTED] = of_rare, untrusted
        n_postings += of_terms
        n_untrusted += untrusted
        most_rare = max(most_rare, n_rare)
        floor = max(floor, reached)
    return n_postings, n_untrusted, most_rare, floor


@kernel
def scratch_of(scratch, n_superblocks, n_rare):
    """Return scratch for a segment and query out of a larger one."""
    return Scratch(
        scratch.bounds[: n_superblocks * SUPERBLOCK_BLOCKS],
        scratch.peaks[:n_superblocks],
        scratch.queue[:n_superblocks],
        scratch.list[:n_superblocks],
        scratch.places.reshape(scratch.places.size)[: n_rare * n_superblocks].reshape((n_rare, n_superblocks)),
        scratch.window,
        scratch.sums,
    )


@kernel
def search_segments(table, order, terms, weights, counts, way, floor, heap, scratch, visits, ways):
    """Leave the best documents of all segments in `heap`.

    terms, weights, counts: as `locate_segments` wrote them. floor: see `topk.offer`. For the others see `rank`.
    """
    n_before = 0
    for s in order:
        n, n_rare, segment = counts[s, FOUND], counts[s, RARE], table[s]
        if n == 0:
            continue
        n_superblocks = (segment[N_DOCS] + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
        ways[s] = way
        if way == PLANNED:
            ways[s] = cheapest(n_superblocks, n_before, n, n_rare, counts[s, POSTINGS_OF_RARE], heap.size)
        n_before += n_superblocks
        postings, some = postings_of(segment), scratch_of(scratch, n_superblocks, n_rare)
        allowed = uint64_at(segment[ALLOWED], (segment[N_ALLOWED],))
        in_it, of_it, base = terms[s, :n], weights[s, :n], segment[BASE]
        if ways[s] == EXHAUSTIVE:
            search_exhaustive(postings, in_it, of_it, base, allowed, floor, heap, some)
        elif ways[s] == BLOCKMAX:
            most = most_superblocks(n_superblocks) if way == PLANNED else NEVER
            search_blockmax(postings, in_it, of_it, base, allowed, floor, heap, some, visits, most)
        else:
            search_superblock(postings, in_it, of_it, base, allowed, floor, heap, some, visits)


@kernel
def rank(table, order, stored_k, term_ids, weights, way, filtered, heap, scratch, visits, ways):
    """Leave the best documents of all segments in `heap`, the same ones however they are divided into segments.

    table, stored_k, term_ids, weights: see `locate_segments`; the heap's size is k. order: int64, the segments in the
    order in which to search them. way: one of `plan.WAYS`, by number, or PLANNED. filtered: whether `ALLOWED`
    of the table is a filter's, so that documents which reach a first threshold may be others. scratch: for the largest
    segment. visits: see `search_blockmax`. ways: int64, (n_segments): the traversal of each segment is written,
    nothing where it has no term.

    Returns how many postings there are, how many terms are untrusted, and the most rare terms in a segment. If one is
    untrusted, or scratch is for fewer rare terms, nothing was searched: verify or allocate, and call again.
    """
    terms, term_weights = (
        np.empty((len(table), len(term_ids)), np.int64),
        np.empty((len(table), len(term_ids)), np.uint32),
    )
    counts = np.empty((len(table), COUNTS), np.int64)
    found = locate_segments(table, stored_k, heap.size, term_ids, weights, terms, term_weights, counts)
    n_postings, n_untrusted, most_rare, floor = found
    if n_untrusted == 0 and most_rare <= len(scratch.places):
        floor = np.uint64(1) if filtered else floor
        search_segments(table, order, terms, term_weights, counts, way, floor, heap, scratch, visits, ways)
    return n_postings, n_untrusted, most_rare


@kernel
def rank_many(
    first, table, order, stored_k, starts, term_ids, weights, way, filtered, heaps, scratch, visits, ways, postings
):
    """Do what `rank` does for one query after another, from number `first` on, without coming back in between.

    starts: int64, (n_queries + 1), where each query's terms begin in term_ids and weights. heaps: uint64, (n_queries,
    k), sorted when done. visits: int64, (n_queries, 3); ways: (n_queries, n_segments); postings: int64, (n_queries),
    is written. Returns how many queries are done, and of the one that isn't what `rank` returned.
    """
    for q in range(first, starts.size - 1):
        own = starts[q], starts[q + 1]
        n_postings, n_untrusted, most_rare = rank(
            table,
            order,
            stored_k,
            term_ids[own[0] : own[1]],
            weights[own[0] : own[1]],
            way,
            filtered,
            heaps[q],
            scratch,
            visits[q],
            ways[q],
        )
        if n_untrusted or most_rare > len(scratch.places):
            return q, n_untrusted, most_rare
        postings[q] = n_postings
        heaps[q].sort()
    return starts.size - 1, 0, 0


@kernel
def rank_approximately(table, order, stored_k, term_ids, weights, settings, heap, scratch, visits, ways):
    """Leave documents of all segments in `heap`, not surely the best. See `rank`, and `search_approximately`.

    settings: alpha, budget and cut. ways: 0 is written where a segment has a term. There is no first threshold: the
    documents that reach it might lie in what is passed over.
    """
    terms, term_weights = (
        np.empty((len(table), len(term_ids)), np.int64),
        np.empty((len(table), len(term_ids)), np.uint32),
    )
    counts = np.empty((len(table), COUNTS), np.int64)
    found = locate_segments(table, stored_k, heap.size, term_ids, weights, terms, term_weights, counts)
    n_postings, n_untrusted, most_rare, _floor = found
    if n_untrusted == 0 and most_rare <= len(scratch.places):
        for s in order:
            n, segment = counts[s, FOUND], table[s]
            if n == 0:
                continue
            ways[s] = 0
            search_approximately(
                postings_of(segment),
                terms[s, :n],
                term_weights[s, :n],
                segment[BASE],
                uint64_at(segment[ALLOWED], (segment[N_ALLOWED],)),
                np.uint64(1),
                heap,
                scratch_of(scratch, (segment[N_DOCS] + SUPERBLOCK - 1) >> SUPERBLOCK_BITS, counts[s, RARE]),
                visits,
                *settings,
            )
    return n_postings, n_untrusted, most_rare
