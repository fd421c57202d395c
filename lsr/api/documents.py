"""Documents of an open index, put together again where they were cut into passages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.passages import owner_of, passages_of, whole
from lsr.types import PASSAGE_OF, Document


def count_documents(index: StoredIndex) -> int:
    """Return the number of documents, each counted once where it was cut into passages."""
    if index.manifest.passages is None:
        return index.manifest.n_docs
    return sum(map(_count_of_segment, index.segments))


def _count_of_segment(segment: Any) -> int:
    """Count the rows that aren't passages, and the first passage of each document."""
    import pyarrow.compute as pc

    live = segment.live_rows
    if segment.fields is None or PASSAGE_OF not in segment.fields.kinds:
        return int(live.sum())
    owner = segment.fields.column(PASSAGE_OF, "text")
    first = pc.fill_null(pc.equal(owner, segment.documents.column("doc_id")), fill_value=True)
    return int((live & first.to_numpy()).sum())


def documents_by_id(index: StoredIndex, doc_ids: Sequence[str]) -> list[Document | None]:
    """Return documents in the order of their doc_ids, None for one that isn't there."""
    found = index.get(doc_ids)
    if index.manifest.passages is None:
        return found
    return [
        None if first is None or owner_of(first) != doc_id else whole(passages_of(index, doc_id))
        for doc_id, first in zip(doc_ids, found, strict=True)
    ]


def all_documents(index: StoredIndex, where: str | None = None) -> Iterator[Document]:
    """Return an iterator over the documents in the order in which they were added.

    Args:
        index: the open index.
        where: filter on the fields (default: all documents).

    Raises:
        FilterError: the filter can't be understood; raised at once.
    """
    allowed = None
    if where is not None:
        from lsr.query.filters.masks import compile_filter

        allowed = compile_filter(index, where).bitmaps
    stored = index.documents(allowed)
    if index.manifest.passages is None:
        return stored
    return (whole(list(passages)) for _, passages in groupby(stored, owner_of))


def is_passage(index: StoredIndex, name: str) -> bool:
    """Tell whether a name is that of a passage, and no doc_id."""
    (found,) = index.get([name])
    return found is not None and owner_of(found) != name
