"""Which segments are merged: few are left, nothing is written often, and neighbours stay in their order."""

from __future__ import annotations

import random

import pytest

from lsr.indexer.storage.manifest import Part, SegmentInfo
from lsr.indexer.update.merge_policy import FACTOR, MOST, all_of, size_of, tiered
from lsr.indexer.write.segment_limits import SegmentLimits

WIDE = SegmentLimits(1 << 24, 1 << 28)


def segment(n_docs: int, n_deleted: int = 0) -> SegmentInfo:
    return SegmentInfo(Part("segments", "0", {}), n_docs, 100 * n_docs, n_deleted)


def settle(segments: list[SegmentInfo], limits: SegmentLimits = WIDE) -> tuple[list[SegmentInfo], int]:
    """Merge until nothing is due; return what is left, and how many documents were written."""
    written = 0
    while runs := tiered(segments, limits):
        for run in reversed(runs):
            n_docs = sum(segments[i].n_live for i in run)
            segments[run.start : run.stop] = [segment(n_docs)] if n_docs else []
            written += n_docs
    return segments, written


@pytest.mark.parametrize("first", [0, 1_000_000])
def test_adding_the_same_again_and_again_leaves_few_segments_and_writes_little(first: int) -> None:
    segments = [segment(first)] if first else []
    written, most = 0, 0
    for _ in range(1000):
        segments.append(segment(1000))
        segments, n = settle(segments)
        written += n
        most = max(most, len(segments))
    assert most <= 4 * FACTOR
    assert written <= 7 * 1_000_000 + 2 * first
    assert sum(s.n_docs for s in segments) == first + 1_000_000


def test_a_small_addition_never_rewrites_a_large_segment() -> None:
    segments = [segment(1_000_000)]
    for _ in range(500):
        segments.append(segment(1000))
        segments, _ = settle(segments)
        assert segments[0].n_docs == 1_000_000


@pytest.mark.parametrize("seed", range(20))
def test_commits_of_all_sizes_leave_a_bounded_number_of_segments(seed: int) -> None:
    rng = random.Random(seed)
    segments: list[SegmentInfo] = []
    added = written = 0
    for _ in range(400):
        n = int(10 ** rng.uniform(0, 5))
        added += n
        segments.append(segment(n))
        segments, n_written = settle(segments)
        written += n_written
        assert len(segments) <= MOST
    assert sum(s.n_docs for s in segments) == added and written <= 8 * added


def test_a_segment_that_is_mostly_deleted_is_written_anew() -> None:
    assert tiered([segment(100), segment(100, 51), segment(100, 50)], WIDE) == [range(1, 2)]
    assert size_of(segment(100, 75)) == 25 + 2500


def test_runs_do_not_overlap() -> None:
    segments = [segment(100, 80), *(segment(10) for _ in range(FACTOR - 1)), segment(10, 9), segment(1000, 900)]
    runs = tiered(segments, WIDE)
    covered = [i for run in runs for i in run]
    assert covered == sorted(set(covered)) and {0, FACTOR, FACTOR + 1} <= set(covered)


def test_no_segment_outgrows_the_limits() -> None:
    limits = SegmentLimits(5000, 1 << 28)
    segments: list[SegmentInfo] = []
    for _ in range(100):
        segments.append(segment(1000))
        segments, _ = settle(segments, limits)
        assert max(s.n_docs for s in segments) <= 5000
    assert all_of([segment(2000)] * 5, limits) == [range(2), range(2, 4)]
    assert all_of([segment(4900), segment(4900, 10)], limits) == [range(1, 2)]


def test_everything_is_merged_into_one_where_it_fits() -> None:
    assert all_of([segment(5)] * 3, WIDE) == [range(3)]
    assert all_of([segment(5)], WIDE) == [] and all_of([], WIDE) == []
    assert all_of([segment(5, 1)], WIDE) == [range(1)]
