"""Documents chosen by a filter: their rows, with those of all their passages, and their doc_ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lsr.indexer.storage.deletions import unpack
from lsr.indexer.storage.index import StoredIndex

Bitmaps = Sequence[npt.NDArray[np.uint64]]
Choice = Callable[[StoredIndex], Bitmaps]
"""Gives, for the generation that is changed, a bitmap a segment, as filters have them."""


def chosen_ids(index: StoredIndex, choice: Choice) -> list[str]:
    """Return the doc_ids of the chosen documents, in the order in which they were added."""
    found: dict[str, int] = {}
    for number, chosen in enumerate(_rows(index, choice)):
        store, rows = index.segments[number].documents, np.flatnonzero(chosen)
        ids = store.doc_ids(rows.tolist()) if index.manifest.passages is None else store.document_ids(rows.tolist())
        for doc_id, position in zip(ids, index.places.at(number, rows).tolist(), strict=True):
            found.setdefault(doc_id, position)
    return sorted(found, key=found.__getitem__)


def chosen_rows(index: StoredIndex, choice: Choice) -> list[npt.NDArray[np.bool_]]:
    """Return the rows of each segment that are chosen, those of all passages of a chosen document among them."""
    if index.manifest.passages is None:
        return _rows(index, choice)
    owners = set(chosen_ids(index, choice))
    found = []
    for segment in index.segments:
        of_row = segment.documents.document_ids(range(segment.n_docs))
        found.append(np.array([owner in owners for owner in of_row], bool) & segment.live_rows)
    return found


def _rows(index: StoredIndex, choice: Choice) -> list[npt.NDArray[np.bool_]]:
    found = []
    for segment, bitmap in zip(index.segments, choice(index), strict=True):
        rows = np.zeros(segment.n_docs, bool)
        rows[segment.arrays["insertion"]] = unpack(bitmap, segment.n_docs)
        found.append(rows & segment.live_rows)
    return found
