"""Documents found by their best passage (MaxP), one hit a document, exactly.

Dai and Callan, "Deeper Text Understanding for IR with Contextual Neural Language Modeling" (SIGIR 2019,
arXiv:1905.09217).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np
import numpy.typing as npt

from lsr.indexer.storage.index import StoredIndex
from lsr.query.engine.engine import Ranking

UNKNOWN = -1
FIRST_DEPTH, DEEPER = 2, 4
"""Passages asked for at first for each document wanted, and how many times as many where these were too few."""


class Owners:
    """The document of each passage of an index, looked up once. Safe to use from many threads."""

    def __init__(self, index: StoredIndex) -> None:
        self._segments = index.segments
        self._places = index.places
        self._known = [np.full(segment.n_docs, UNKNOWN, np.int64) for segment in index.segments]
        self._numbers: dict[str, int] = {}
        self._next = count()

    def __call__(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return a number for each position, the same for passages of one document."""
        owners = np.empty(len(positions), np.int64)
        segments, rows = self._places.find(positions)
        for number in np.unique(segments):
            here = segments == number
            owners[here] = self._of_segment(int(number), rows[here])
        return owners

    def _of_segment(self, number: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        known = self._known[number]
        new = rows[known[rows] == UNKNOWN]
        if len(new):
            ids = self._segments[number].documents.document_ids(new.tolist())
            # A number may be drawn in vain, but never twice, so threads need no lock.
            known[new] = [self._numbers.setdefault(doc_id, next(self._next)) for doc_id in ids]
        return known[rows]


def best_passages(rank: Callable[[int], Ranking], owners: Owners, k: int) -> Ranking:
    """Return the k documents whose best passages score highest, as a ranking of those passages.

    rank: the ranking of so many passages.
    Passages are asked for until k documents are found, or there are no more, so that none is missed. Of passages that
    score alike the first of a document is its best, so ties between documents stay in the order of insertion.
    """
    depth = FIRST_DEPTH * k
    while True:
        ranking = rank(depth)
        _, first = np.unique(owners(ranking.positions), return_index=True)
        if len(first) >= k or len(ranking) < depth:
            places = np.sort(first)[:k]
            return ranking.at(places)
        depth *= DEEPER
