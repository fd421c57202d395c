"""The choice of segments to merge: neighbours only, since their order is that of addition."""

from __future__ import annotations

from collections.abc import Sequence

from lsr.indexer.storage.manifest import SegmentInfo
from lsr.indexer.write.segment_limits import SegmentLimits

FACTOR = 4
"""So many neighbours are merged at once, if none of them is larger than the others together."""
MOST = 24
"""More segments than this are merged in any case."""


def size_of(segment: SegmentInfo) -> int:
    """Return what merging a segment costs: its documents that are left, and their share of postings."""
    return segment.n_live + segment.n_postings * segment.n_live // max(segment.n_docs, 1)


def tiered(segments: Sequence[SegmentInfo], limits: SegmentLimits) -> list[range]:
    """Return the runs of segments that should be merged now, each into one; none if all is well.

    Runs of FACTOR or more neighbours, in which no segment is larger than all the others together: so whatever is
    written again comes to lie in a segment at least twice as large, and a document is merged only a logarithm of times.
    A segment with more deleted documents than others is a run by itself.
    """
    runs = [range(i, i + 1) for i, segment in enumerate(segments) if segment.n_deleted * 2 > segment.n_docs]
    chosen = _balanced(segments, limits)
    if chosen is None and len(segments) > MOST:
        chosen = _cheapest(segments, limits)
    if chosen is None:
        return runs
    return sorted([run for run in runs if run.start not in chosen] + [chosen], key=lambda run: run.start)


def all_of(segments: Sequence[SegmentInfo], limits: SegmentLimits) -> list[range]:
    """Return the runs that leave as few segments as the limits allow, and no deleted document."""
    runs, first = [], 0
    while first < len(segments):
        last = first + 1
        while last < len(segments) and _fits(segments[first : last + 1], limits):
            last += 1
        if last > first + 1 or segments[first].n_deleted:
            runs.append(range(first, last))
        first = last
    return runs


def _fits(segments: Sequence[SegmentInfo], limits: SegmentLimits) -> bool:
    return (
        sum(segment.n_live for segment in segments) <= limits.n_docs
        and sum(segment.n_postings for segment in segments) <= limits.n_postings
    )


def _balanced(segments: Sequence[SegmentInfo], limits: SegmentLimits) -> range | None:
    """Return the smallest run that is due, or None."""
    sizes = [size_of(segment) for segment in segments]
    due: list[tuple[int, range]] = []
    for first in range(len(segments)):
        for last in range(first + FACTOR, len(segments) + 1):
            some = sizes[first:last]
            if 2 * max(some) <= sum(some) and _fits(segments[first:last], limits):
                due.append((sum(some), range(first, last)))
                break
    return min(due, key=lambda found: found[0])[1] if due else None


def _cheapest(segments: Sequence[SegmentInfo], limits: SegmentLimits) -> range | None:
    """Return the FACTOR neighbours that are merged at the least cost, or None if no such run fits a segment."""
    runs = [range(first, first + FACTOR) for first in range(len(segments) - FACTOR + 1)]
    fitting = [run for run in runs if _fits(segments[run.start : run.stop], limits)]
    return min(fitting, key=lambda run: sum(size_of(segments[i]) for i in run), default=None)
