"""Positions of documents: their order of addition to a whole index, whatever segment holds them.

In an index, and in a set of shards that are ranges, a position is the row plus the documents of the segments before.
In a set that was partitioned by hashes, each row's position is stored beside it (`position.npy`), and positions of
documents that a merge removed are of no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.integrity.damage import REMEDY
from lsr.indexer.storage.arrays import POSITION
from lsr.indexer.storage.segment import Segment
from lsr.io.fork_safe import cached_property

Positions = npt.NDArray[np.int64]

FEWEST_POSITIONS, POSITIONS_A_ROW = 1 << 26, 16


def most_positions(n_rows: int) -> int:
    """Return how many positions some rows may have, where each has its own: arrays by position are in memory."""
    return max(FEWEST_POSITIONS, POSITIONS_A_ROW * n_rows)


class Places:
    """Positions of the rows of some segments, and back.

    A *place* numbers the rows of all segments through. starts: int64, (n_segments + 1), the place of each segment's
    first row. n_positions: all positions are below this.
    """

    def __init__(self, segments: Sequence[Segment], *, next_position: int | None = None) -> None:
        """Number rows. next_position: above all stored positions; None where positions are places.

        Raises IndexDamagedError for more than a set may have: arrays by position are in memory.
        """
        self._segments = segments
        sizes = np.array([segment.n_docs for segment in segments], np.int64)
        self.starts: Positions = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.is_sequential = next_position is None
        n_rows = int(self.starts[-1])
        self.n_positions = n_rows if next_position is None else next_position
        if next_position is not None and next_position > most_positions(n_rows):
            raise IndexDamagedError(
                f"the set has {next_position:,} positions for {n_rows:,} documents, more than it may have; {REMEDY}"
            )

    def of_segment(self, number: int) -> npt.NDArray[Any] | slice:
        """Return the positions of a segment's rows, ascending. Raises IndexDamagedError."""
        if self.is_sequential:
            return slice(int(self.starts[number]), int(self.starts[number + 1]))
        return self._stored[number]

    def at(self, number: int, rows: npt.NDArray[Any]) -> Positions:
        """Return the positions of some rows of a segment: int64. Raises IndexDamagedError."""
        stored = rows + self.starts[number] if self.is_sequential else self._stored[number][rows]
        found: Positions = stored.astype(np.int64)
        return found

    def of_places(self, places: Positions) -> Positions:
        """Return the positions of places. Raises IndexDamagedError."""
        return places if self.is_sequential else self._all[places].astype(np.int64)

    def find(self, positions: Positions) -> tuple[Positions, Positions]:
        """Return the segments, by number, and the rows in them, of positions that are of rows."""
        if not self.is_sequential:
            positions = self._place_of[positions].astype(np.int64)
        numbers = np.searchsorted(self.starts, positions, side="right") - 1
        return numbers, positions - self.starts[numbers]

    def by_position(self, by_place: npt.NDArray[Any], empty: Any) -> npt.NDArray[Any]:
        """Return an array by position of one by place. empty: value of positions that are of no row."""
        if self.is_sequential:
            return by_place
        found = np.full(self.n_positions, empty, by_place.dtype)
        found[self._all] = by_place
        return found

    @cached_property
    def filled(self) -> npt.NDArray[np.bool_]:
        """The positions that are of rows, deleted ones among them: bool, (n_positions)."""
        return self.by_position(np.ones(int(self.starts[-1]), bool), False)

    @cached_property
    def _stored(self) -> list[npt.NDArray[np.uint32]]:
        """The positions of each segment's rows, verified."""
        found = []
        for segment in self._segments:
            positions = segment.array(POSITION.name)
            if positions is None:
                raise IndexDamagedError(f"{segment.folder}: its rows have no positions in the set; {REMEDY}")
            ascending = len(positions) < 2 or bool((positions[1:] > positions[:-1]).all())
            if not ascending or (len(positions) and int(positions[-1]) >= self.n_positions):
                raise IndexDamagedError(f"{segment.folder}: its positions are not what the set says; {REMEDY}")
            found.append(np.asarray(positions))
        return found

    @cached_property
    def _all(self) -> npt.NDArray[np.uint32]:
        """The positions by place."""
        return np.concatenate([np.empty(0, np.uint32), *self._stored])

    @cached_property
    def _place_of(self) -> npt.NDArray[np.uint32]:
        """The places by position; undefined where a position is of no row."""
        found = np.zeros(self.n_positions, np.uint32)
        found[self._all] = np.arange(len(self._all), dtype=np.uint32)
        return found
