"""Every exact traversal returns what the plain twin and the dense matrix return: documents, scores and order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from kernel_cases import (
    LARGEST_WEIGHT_SUM,
    TRAVERSALS,
    UNCOMPILED,
    Collection,
    GuardedScratch,
    Segment,
    admit,
    bitmap,
    count_rare,
    draw_any_query,
    draw_collection,
    draw_query,
    forward_rows,
    hits,
    invert,
    property_cases,
    scratch_for,
    seeds,
    segments_of,
    sizes,
)
from kernel_oracle import rank_by_matrix, search_plain

from lsr.kernels.build.layout import Postings, build
from lsr.kernels.traversals.topk import NO_FILTER

Search = Callable[..., None]
COMBINATIONS = 8
"""Of filter, segments and initial threshold: a traversal's cases are divided among them."""

every_traversal = pytest.mark.parametrize("search", TRAVERSALS.values(), ids=TRAVERSALS.keys())
compiled_only = pytest.mark.skipif(UNCOMPILED, reason="takes minutes without compilation")


def compare(
    search: Search,
    matrix: np.ndarray,
    segments: tuple[Segment, ...],
    query: tuple[np.ndarray, np.ndarray],
    k: int,
    allowed: np.ndarray | None = None,
    initial_threshold: int = 1,
    first_base: int = 0,
    scratch: GuardedScratch | None = None,
) -> list[tuple[int, int]]:
    """Run a traversal and both oracles over all segments with one heap; return the hits that all agree on."""
    terms, weights = query
    scratch = scratch or scratch_for(segments, terms)
    heap, plain_heap = np.zeros(k, np.uint64), np.zeros(k, np.uint64)
    for segment in segments:
        in_segment = NO_FILTER if allowed is None else bitmap(allowed[segment.base + segment.order])
        admission = admit(first_base + segment.base, in_segment, initial_threshold)
        call = segment.postings, terms, weights, admission
        search(*call, heap, scratch.arrays)
        scratch.check()
        search_plain(*call, plain_heap)
    everything = np.ones(len(matrix), bool)
    found = hits(heap)
    assert found == hits(plain_heap)
    ranked = rank_by_matrix(matrix, terms, weights, everything if allowed is None else allowed, initial_threshold, k)
    assert found == [(score, first_base + position) for score, position in ranked]
    return found


def whole(matrix: np.ndarray, order: np.ndarray | None = None) -> tuple[Segment, ...]:
    """Return one segment of all rows of a matrix."""
    return (Segment(invert(matrix, order), 0, np.arange(len(matrix)) if order is None else order),)


@every_traversal
@pytest.mark.parametrize("filtered", [False, True], ids=["all", "filtered"])
@pytest.mark.parametrize("segmented", [False, True], ids=["one", "segments"])
@pytest.mark.parametrize("thresholded", [False, True], ids=["open", "threshold"])
@property_cases(COMBINATIONS)
@given(seed=seeds, n_docs=sizes)
def test_equals_both_oracles(
    search: Search, filtered: bool, segmented: bool, thresholded: bool, seed: int, n_docs: int
) -> None:
    rng = np.random.default_rng(seed)
    collection = draw_collection(rng, n_docs)
    order = rng.choice(("shuffled", "added", "reversed"))
    matrix, segments = segments_of(collection, int(rng.integers(2, 5)) if segmented else 1, order)
    terms, weights = query = draw_any_query(rng, collection.n_terms)
    allowed, initial_threshold = None, 1
    if filtered:
        allowed = rng.random(n_docs) < rng.choice((0.0, 0.02, 0.5, 1.0))
    if thresholded:
        ranked = rank_by_matrix(matrix, terms, weights, np.ones(n_docs, bool), 1, n_docs)
        scores = [score for score, _ in ranked] or [1]
        # An initial threshold that is some document's score has ties at exactly the threshold.
        choices = (rng.choice(scores), scores[0], scores[-1], scores[0] + 1, 2**32 - 1, 2**32)
        initial_threshold = choices[rng.integers(6)]
    compare(
        search,
        matrix,
        segments,
        query,
        k=int(rng.choice((1, 2, 10, 100, n_docs + 5))),
        allowed=allowed,
        initial_threshold=int(initial_threshold),
        first_base=int(rng.choice((0, 7, 2**32 - 1 - n_docs))),
        scratch=scratch_for(segments, terms, spare=int(rng.choice((0, 1, 70)))),
    )


@every_traversal
def test_a_segment_without_documents_finds_nothing(search: Search) -> None:
    matrix = np.zeros((0, 5), np.uint8)
    assert compare(search, matrix, whole(matrix), draw_query(0, 5, 5, "largest"), k=3) == []


@every_traversal
def test_documents_without_terms_are_never_found(search: Search) -> None:
    matrix = np.zeros((200, 5), np.uint8)
    assert compare(search, matrix, whole(matrix), draw_query(0, 5, 5, "largest"), k=3) == []


@every_traversal
def test_a_query_without_terms_finds_nothing(search: Search) -> None:
    matrix, segments = segments_of(Collection(), 1)
    assert compare(search, matrix, segments, draw_query(0, 20, 0, "equal"), k=3) == []


@every_traversal
def test_terms_that_no_document_holds_add_nothing(search: Search) -> None:
    matrix, _ = segments_of(Collection(), 1)
    matrix = np.hstack([matrix, np.zeros((len(matrix), 30), np.uint8)])
    segments = whole(matrix)
    unknown = np.arange(20, 50)
    assert compare(search, matrix, segments, (unknown, np.full(30, 9, np.uint32)), k=5) == []
    both = compare(search, matrix, segments, (np.arange(50), np.full(50, 9, np.uint32)), k=5)
    assert both == compare(search, matrix, segments, (np.arange(20), np.full(20, 9, np.uint32)), k=5)


@every_traversal
@pytest.mark.parametrize("order", ["added", "reversed", "shuffled"])
def test_of_equal_documents_the_first_added_win(search: Search, order: str) -> None:
    n_docs = 1000 if not UNCOMPILED else 200
    collection = Collection(n_docs=n_docs, n_distinct=1, empty_share=0.0, terms="frequent")
    matrix, segments = segments_of(collection, 3, order)
    found = compare(search, matrix, segments, (np.arange(20), np.full(20, 3, np.uint32)), k=10)
    assert [position for _, position in found] == list(range(10))


@every_traversal
def test_more_results_wanted_than_documents(search: Search) -> None:
    matrix, segments = segments_of(Collection(n_docs=70, empty_share=0.0), 1)
    query = np.arange(20), np.full(20, 3, np.uint32)
    assert len(compare(search, matrix, segments, query, k=1000)) == np.count_nonzero(matrix.any(axis=1))


@every_traversal
@pytest.mark.parametrize("n_docs", [1, 2, 4, 5, 63, 64, 65, 255, 256, 257])
def test_the_last_document_of_a_segment_is_scored(search: Search, n_docs: int) -> None:
    for impact in (1, 255):
        matrix = np.zeros((n_docs, 2), np.uint8)
        matrix[-1, 1] = impact
        query = np.array([1, 0]), np.array([3, 5], np.uint32)
        assert compare(search, matrix, whole(matrix), query, k=2) == [(3 * impact, n_docs - 1)]


@every_traversal
@compiled_only
@pytest.mark.parametrize("n_docs", [4095, 4096, 4097, 16_383, 16_384, 16_385, 20_000])
def test_the_last_document_beyond_windows_is_scored(search: Search, n_docs: int) -> None:
    rng = np.random.default_rng(n_docs)
    matrix = np.where(rng.random((n_docs, 6)) < [0.5, 0.1, 0.02, 0.01, 0.001, 0], 9, 0).astype(np.uint8)
    matrix[-1] = 10
    found = compare(search, matrix, whole(matrix), (np.arange(6), np.full(6, 2, np.uint32)), k=20)
    assert found[0] == (120, n_docs - 1)


@every_traversal
@pytest.mark.parametrize("n_terms", [1, 3, 64])
def test_the_largest_score_fits(search: Search, n_terms: int) -> None:
    matrix = np.full((130, n_terms), 255, np.uint8)
    matrix[:65] = 254
    query = draw_query(1, n_terms, n_terms, "largest")
    assert int(query[1].sum(dtype=np.uint64)) == LARGEST_WEIGHT_SUM
    assert compare(search, matrix, whole(matrix), query, k=3) == [(2**32 - 1, 65), (2**32 - 1, 66), (2**32 - 1, 67)]


@every_traversal
def test_the_largest_score_of_rare_terms_fits(search: Search) -> None:
    matrix = np.zeros((1000, 3), np.uint8)
    matrix[[3, 500, 999]] = 255
    query = draw_query(2, 3, 3, "largest")
    assert compare(search, matrix, whole(matrix), query, k=5) == [(2**32 - 1, d) for d in (3, 500, 999)]


@every_traversal
def test_more_rare_terms_than_any_word_has_bits(search: Search) -> None:
    collection = Collection(seed=3, n_docs=700, n_terms=150, terms="rare")
    matrix, segments = segments_of(collection, 1)
    assert (segments[0].postings.row < 0).sum() > 64
    assert len(compare(search, matrix, segments, draw_query(4, 150, 150, "any"), k=50)) == 50


@every_traversal
@pytest.mark.parametrize("surplus", [0, 1])
def test_an_initial_threshold_keeps_ties_and_nothing_below(search: Search, surplus: int) -> None:
    matrix = np.full((300, 1), 5, np.uint8)
    matrix[[10, 200]] = 6
    query = np.array([0]), np.array([2], np.uint32)
    found = compare(search, matrix, whole(matrix), query, k=4, initial_threshold=10 + surplus)
    assert found == [(12, 10), (12, 200)] + [(10, 0), (10, 1)] * (1 - surplus)


@every_traversal
def test_a_tie_in_a_bucket_that_begins_below_the_threshold(search: Search) -> None:
    """The bounds 7 and 8 share a bucket, the threshold is 8, and the later 8 was added first."""
    matrix = np.zeros((192, 2), np.uint8)
    matrix[64, 1] = 128
    matrix[[0, 65, 191], 0] = 7, 8, 8
    order = np.arange(192)
    order[[0, 191]] = 191, 0
    added = np.empty_like(matrix)
    added[order] = matrix
    found = compare(search, added, whole(added, order), (np.arange(2), np.array([1, 16], np.uint32)), k=2)
    assert found == [(2048, 64), (8, 0)]


@every_traversal
def test_a_filter_of_one_document_finds_it(search: Search) -> None:
    matrix, segments = segments_of(Collection(n_docs=300, empty_share=0.0, terms="frequent"), 1)
    query = np.arange(20), np.full(20, 3, np.uint32)
    for position in (0, 63, 64, 255, 299):
        allowed = np.arange(300) == position
        assert [p for _, p in compare(search, matrix, segments, query, k=3, allowed=allowed)] == [position]


@every_traversal
def test_later_segments_only_add_what_beats_the_heap(search: Search) -> None:
    matrix = np.repeat(np.array([[9], [5], [9]], np.uint8), 100, axis=0)
    segments = tuple(Segment(invert(matrix[i : i + 100]), i, np.arange(100)) for i in (0, 100, 200))
    query = np.array([0]), np.array([1], np.uint32)
    found = compare(search, matrix, segments, query, k=150)
    assert found == [(9, d) for d in (*range(100), *range(200, 250))]


@every_traversal
def test_scratch_serves_many_queries_and_segments(search: Search) -> None:
    """One scratch, sized for the largest segment, through queries of all kinds."""
    matrix, segments = segments_of(Collection(seed=5, n_docs=150 if UNCOMPILED else 2000, n_terms=40), 3)
    scratch = GuardedScratch(40, max(count_rare(s.postings, np.arange(40)) for s in segments))
    for seed in range(3 if UNCOMPILED else 100):
        query = draw_query(seed, 40, seed % 41, ("any", "equal", "largest")[seed % 3])
        compare(search, matrix, segments, query, k=1 + seed, scratch=scratch)


@every_traversal
def test_mapped_files_give_what_memory_gives(search: Search, tmp_path: Path) -> None:
    matrix, segments = segments_of(Collection(seed=6, n_docs=500), 1)
    for name, array in zip(Postings._fields, segments[0].postings, strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    mapped = Postings(*(np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in Postings._fields))
    assert not mapped.frequent.flags.writeable
    query = draw_query(6, 20, 20, "any")
    found = compare(search, matrix, (Segment(mapped, 0, segments[0].order),), query, k=30)
    assert found == compare(search, matrix, segments, query, k=30)


@every_traversal
def test_writable_and_read_only_arrays_give_the_same(search: Search) -> None:
    matrix, segments = segments_of(Collection(seed=7, n_docs=500), 1)
    writable = build(*forward_rows(matrix), matrix.shape[1], segments[0].order)
    terms, weights = draw_query(7, 20, 20, "any")
    allowed = np.arange(500) % 2 == 0
    writable_call = compare(search, matrix, (Segment(writable, 0, segments[0].order),), (terms, weights), 30, allowed)
    terms.flags.writeable = weights.flags.writeable = False
    assert compare(search, matrix, segments, (terms, weights), 30, allowed) == writable_call


@every_traversal
def test_inputs_stay_as_they_were(search: Search) -> None:
    matrix, segments = segments_of(Collection(seed=8, n_docs=300), 1)
    writable = build(*forward_rows(matrix), matrix.shape[1], segments[0].order)
    before = [array.copy() for array in writable]
    terms, weights = query = draw_query(8, 20, 20, "any")
    query_before = terms.copy(), weights.copy()
    allowed = np.arange(300) % 3 == 0
    compare(search, matrix, (Segment(writable, 0, segments[0].order),), query, 10, allowed)
    assert all(np.array_equal(a, b) for a, b in zip(before, writable, strict=True))
    assert np.array_equal(terms, query_before[0])
    assert np.array_equal(weights, query_before[1])
