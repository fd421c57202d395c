"""The outcome of a transaction's additions, replacements and deletions, by doc_id, in the order of the calls.

In memory are 8 bytes a document; the ids themselves are read only where hashes meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lsr.errors import BadDocumentError
from lsr.indexer.storage.segment import Segment, hash_ids
from lsr.indexer.write.segment_builder import Pending


@dataclass(slots=True)
class Requests:
    """The changes asked for, without the documents themselves.

    replacing: of each run of added documents, how many, and whether they may replace others. further: of each added
    document, 1 for a further passage, which counts as no document. deletions: doc_ids, each with the number of
    documents that had been added before, and whether it is the name of a further passage.
    """

    replacing: list[tuple[int, bool]] = field(default_factory=list)
    further: bytearray = field(default_factory=bytearray)
    deletions: list[tuple[str, int, bool]] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """The outcome. dead: rows by segment that are no longer there; unknown: ids deleted that were not there."""

    dead: list[list[int]]
    n_added: int = 0
    n_replaced: int = 0
    n_deleted: int = 0
    unknown: list[str] = field(default_factory=list)


_Place = tuple[int, int]
"""Segment, row; the pending segments count from −1 downwards."""


def resolve(segments: Sequence[Segment], pending: Sequence[Pending], requests: Requests) -> Outcome:
    """Return what happens to the documents of the segments; rows of `pending` that don't stay are noted there.

    Raises BadDocumentError for a doc_id added that is there already.
    """
    return _Resolution(segments, pending, requests).run()


class _Resolution:
    """The work of `resolve`."""

    def __init__(self, segments: Sequence[Segment], pending: Sequence[Pending], requests: Requests) -> None:
        self._segments = segments
        self._pending = pending
        self._starts = np.concatenate([[0], np.cumsum([one.n_docs for one in pending])]).astype(np.int64)
        self._deleted = [doc_id for doc_id, _, _ in requests.deletions]
        further = [flag for _, _, flag in requests.deletions]
        self._counts = ~np.concatenate([np.frombuffer(requests.further, np.uint8), further]).astype(bool)
        self._n_docs = int(self._starts[-1])
        hashes = [one.id_hashes for one in pending]
        self._hashes = np.concatenate([*hashes, hash_ids(self._deleted)]).astype(np.uint64)
        # An event is a document, by its number, or a deletion, numbered behind them.
        before = np.array([n for _, n, _ in requests.deletions], np.float64)
        self._times = np.concatenate([np.arange(self._n_docs, dtype=np.float64), before - 0.5])
        runs = requests.replacing
        self._replaces = np.repeat(np.array([flag for _, flag in runs], bool), [n for n, _ in runs])
        self._outcome = Outcome([[] for _ in segments])

    def run(self) -> Outcome:
        order = np.argsort(self._hashes, kind="stable")
        ascending = self._hashes[order]
        same = np.flatnonzero(ascending[1:] == ascending[:-1])
        tangled = np.zeros(len(self._hashes), bool)
        tangled[order[same]] = tangled[order[same + 1]] = True
        single = np.flatnonzero(~tangled)
        for event, place in zip(single.tolist(), self._places(single), strict=True):
            if place is None and event < self._n_docs:  # by far the most
                self._outcome.n_added += int(self._counts[event])
            else:
                self._settle([event], place)
        self._untangle(np.flatnonzero(tangled))
        return self._outcome

    def _untangle(self, events: npt.NDArray[np.int64]) -> None:
        """Settle ids that are in more than one event."""
        by_id: dict[str, list[int]] = {}
        for event in events[np.argsort(self._times[events], kind="stable")]:
            by_id.setdefault(self._doc_id(event), []).append(int(event))
        firsts = np.array([some[0] for some in by_id.values()], np.int64)
        for some, place in zip(by_id.values(), self._places(firsts), strict=True):
            self._settle(some, place)

    def _settle(self, events: Sequence[int], stored: _Place | None) -> None:
        """Follow an id through its events, in their order. stored: where the index has it."""
        now = stored
        for event in events:
            if event >= self._n_docs:
                if now is None:
                    self._outcome.unknown.append(self._deleted[event - self._n_docs])
                self._kill(now)
                now = None
                continue
            if now is not None and not self._replaces[event]:
                raise self._refusal(now, event)
            self._kill(now)
            now = self._pending_place(event)
        if now == stored or not self._counts[events[0]]:
            return
        if now is None:
            self._outcome.n_deleted += 1 if stored is not None else 0
        elif stored is None:
            self._outcome.n_added += 1
        else:
            self._outcome.n_replaced += 1

    def _kill(self, place: _Place | None) -> None:
        if place is None:
            return
        segment, row = place
        (self._outcome.dead[segment] if segment >= 0 else self._pending[-1 - segment].dead).append(row)

    def _refusal(self, place: _Place, event: int) -> BadDocumentError:
        doc_id = self._doc_id(event)
        if place[0] >= 0:
            return BadDocumentError(
                f"doc_id {doc_id} is in the index already; 'lsr update' replaces it, or give the new one another"
            )
        first = int(self._starts[-1 - place[0]]) + place[1]
        return BadDocumentError(
            f"doc_id {doc_id} is there twice: it is that of document {first + 1:,} and of document {event + 1:,}; "
            "give each its own"
        )

    def _pending_place(self, event: int) -> _Place:
        number = int(np.searchsorted(self._starts, event, side="right")) - 1
        return -1 - number, event - int(self._starts[number])

    def _doc_id(self, event: int) -> str:
        if event >= self._n_docs:
            return self._deleted[event - self._n_docs]
        number, row = self._pending_place(event)
        return self._pending[-1 - number].doc_ids([row])[0]

    def _doc_ids(self, events: npt.NDArray[np.int64]) -> list[str]:
        """Return the ids of ascending events."""
        ids: list[str] = []
        for number, one in enumerate(self._pending):
            first, last = self._starts[number], self._starts[number + 1]
            here = events[(events >= first) & (events < last)] - first
            ids += one.doc_ids(here.tolist()) if len(here) else []
        return ids + [self._deleted[event - self._n_docs] for event in events[events >= self._n_docs].tolist()]

    def _places(self, events: npt.NDArray[np.int64]) -> list[_Place | None]:
        """Return where the index has the ids of some events."""
        places: list[_Place | None] = [None] * len(events)
        for number, segment in enumerate(self._segments):
            at = np.searchsorted(segment.id_hash, self._hashes[events])
            at[at == segment.n_docs] = 0
            near = np.flatnonzero(segment.id_hash[at] == self._hashes[events])
            near = near[np.argsort(events[near])]
            rows = segment.rows_of(self._doc_ids(events[near]), self._hashes[events[near]])
            for i, row in zip(near[rows >= 0].tolist(), rows[rows >= 0].tolist(), strict=True):
                places[i] = (number, row)
        return places
