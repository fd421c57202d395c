"""Document filters: a bitmap of the allowed documents for each segment, by which every traversal skips."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.indexer.storage.deletions import pack, unpack
from lsr.indexer.storage.index import IndexIdentity, StoredIndex, list_of_ids


@dataclass(frozen=True, slots=True, eq=False)
class DocumentFilter:
    """The documents that a search may find, for one generation of an index.

    bitmaps: uint64, (n_superblocks of the segment), bit d & 63 of word d >> 6 allowing doc_ord d. made_for: identity of
    the index generation, since doc_ords mean other documents in any other.
    """

    bitmaps: tuple[npt.NDArray[np.uint64], ...]
    n_allowed: int
    made_for: IndexIdentity

    def check(self, index: StoredIndex) -> None:
        """Raise UsageError for another index, or another generation of it, than the filter was made for."""
        if self.made_for is index.identity or self.made_for == index.identity:
            return
        same = self.made_for.path == index.identity.path
        what = "another generation of the index" if same else f"another index, the one at {self.made_for.path}"
        raise UsageError(f"the filter was made for {what}: make it again for the index at {index.path}")

    def __and__(self, other: DocumentFilter) -> DocumentFilter:
        """Return the documents that both filters allow. Both must be of one generation."""
        bitmaps = tuple(ours & theirs for ours, theirs in zip(self.bitmaps, other.bitmaps, strict=True))
        return DocumentFilter(bitmaps, sum(int(np.bitwise_count(bits).sum()) for bits in bitmaps), self.made_for)

    def positions(self, index: StoredIndex) -> npt.NDArray[np.int64]:
        """Return the positions of the allowed documents, ascending: int64, (n_allowed)."""
        found = [np.empty(0, np.int64)]
        for number, (segment, bits) in enumerate(zip(index.segments, self.bitmaps, strict=True)):
            insertion = segment.arrays["insertion"][np.flatnonzero(unpack(bits, segment.n_docs))]
            found.append(index.places.at(number, np.sort(insertion)))
        positions = np.concatenate(found)
        return positions if index.places.is_sequential else np.sort(positions)

    @classmethod
    def from_mask(cls, index: StoredIndex, mask: npt.NDArray[np.bool_]) -> DocumentFilter:
        """Allow the documents whose place in `mask` is true: bool, by position, (`index.n_positions`).

        Deleted documents are never allowed. Raises UsageError for a mask of another length or type.
        """
        mask = np.asarray(mask)
        if mask.dtype != np.bool_:
            raise UsageError(f"the filter is a mask of {mask.dtype}; it must be of bool, a value for each position")
        if mask.shape != (index.n_positions,):
            raise UsageError(f"the filter is of shape {mask.shape}, but the index has {index.n_positions} documents")
        bitmaps, n_allowed = [], 0
        for number, segment in enumerate(index.segments):
            of_segment = mask[index.places.of_segment(number)] & segment.live_rows
            bitmaps.append(pack(of_segment[segment.arrays["insertion"]]))
            n_allowed += int(of_segment.sum())
        return cls(tuple(bitmaps), n_allowed, index.identity)

    @classmethod
    def from_doc_ids(cls, index: StoredIndex, doc_ids: str | Iterable[str]) -> DocumentFilter:
        """Allow the documents with these ids, with all their passages; those that the index lacks are skipped.

        A text is one id. Raises UsageError for ids that are no texts.
        """
        wanted = list_of_ids(doc_ids)
        if index.manifest.passages is not None:
            from lsr.indexer.update.passages import passages_of

            wanted = [passage.doc_id for doc_id in wanted for passage in passages_of(index, doc_id)]
        mask = np.zeros(index.n_positions, bool)
        for number, segment in enumerate(index.segments):
            rows = [row for row in segment.find(wanted) if row is not None]
            mask[index.places.at(number, np.array(rows, np.int64))] = True
        return cls.from_mask(index, mask)
