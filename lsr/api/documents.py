"""Documents of an open index, put together again where they were cut into passages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from lsr.indexer.storage.index import StoredIndex, segment_key
from lsr.indexer.update.passages import owner_of, passages_of, whole
from lsr.types import Document


def count_documents(index: StoredIndex) -> int:
    """Return the number of documents, each counted once where it was cut into passages."""
    if index.manifest.passages is None:
        return index.manifest.n_docs
    from lsr.indexer.storage.passage_rows import further_rows

    counts = index.counts_of_documents
    for segment in index.segments:
        key = segment_key(segment.info)
        if key not in counts:  # counted once for each open index, since a server is asked again and again
            counts[key] = int((segment.live_rows & ~further_rows(segment)).sum())
    return sum(counts[segment_key(segment.info)] for segment in index.segments)


def documents_by_id(index: StoredIndex, doc_ids: Sequence[str]) -> list[Document | None]:
    """Return documents in the order of their doc_ids, None for one that isn't there."""
    if index.manifest.passages is None:
        return index.get(doc_ids)
    return [whole(found) if (found := passages_of(index, doc_id)) else None for doc_id in doc_ids]


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


def doc_ids_like(index: StoredIndex, pattern: str) -> list[str]:
    """Return the doc_ids that fit a pattern with *, ? or [ab], in the order of addition; none for a plain name."""
    if not any(sign in pattern for sign in "*?["):
        return []
    from fnmatch import translate

    import numpy as np

    fits = re.compile(translate(pattern)).match
    found: dict[str, int] = {}
    for number, segment in enumerate(index.segments):
        rows = np.flatnonzero(segment.live_rows)
        store = segment.documents
        ids = store.doc_ids(rows.tolist()) if index.manifest.passages is None else store.document_ids(rows.tolist())
        for doc_id, position in zip(ids, index.places.at(number, rows).tolist(), strict=True):
            if fits(doc_id):
                found.setdefault(doc_id, position)
    return sorted(found, key=found.__getitem__)
