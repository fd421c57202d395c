"""One generation of an index, opened for reading and searching."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.api.arguments import check_name, shown
from lsr.api.encoders import NAMES_A_MODEL
from lsr.errors import UsageError
from lsr.indexer.storage.index import Index as StoredIndex
from lsr.query.searcher import Searcher
from lsr.types import PASSAGE_OF, Document, Results

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.query.options import SearchOptions

Place = str | Path | None
"""Where a model is now; None: where it was."""


class Opened:
    """One generation of an index. Safe to use from many threads; later commits don't change it."""

    def __init__(self, searcher: Searcher, encoder: Encoder | None, place: Place, dense_place: Place) -> None:
        self.searcher = searcher
        self.stored = searcher.index
        self.encoder = encoder
        self.encoder_place = place
        self.dense_encoder_place = dense_place

    @classmethod
    def of(cls, path: Path, encoder: Any, dense_encoder: Any, generation: int | None) -> Opened:
        """Open a generation, the last by default. encoder, dense_encoder: as callers give them to `lsr.open`.

        Raises UsageError for what is neither a place nor an encoder, and what opening an index raises.
        """
        loaded: Encoder | None = None
        place: Place = None
        if encoder is None or isinstance(encoder, str | os.PathLike):
            place = check_name(encoder, "encoder", NAMES_A_MODEL)
        elif hasattr(encoder, "encode_queries") and hasattr(encoder, "description"):
            loaded = encoder
        else:
            raise UsageError(f"encoder is {shown(encoder)}; it must be the folder of its model, or a loaded encoder")
        dense_place = check_name(dense_encoder, "dense_encoder", "the folder of a dense model")
        stored = StoredIndex.open(path, generation=generation, encoder=place, dense_encoder=dense_place)
        return cls(Searcher(stored, encoder=loaded), loaded, place, dense_place)

    def refreshed(self) -> Opened:
        """Return the last generation: this one, or another that shares with it what has not changed."""
        searcher = self.searcher.refresh()
        if searcher is self.searcher:
            return self
        return Opened(searcher, self.encoder, self.encoder_place, self.dense_encoder_place)

    def search(
        self, query: str | Sequence[str], options: SearchOptions | None, given: Mapping[str, Any]
    ) -> Results | list[Results]:
        """Return the results of one query, or of each of several. given: options by name."""
        return self.searcher.search(query, options, **given)

    @property
    def generation(self) -> int:
        """The number of the generation."""
        return self.stored.manifest.generation

    @cached_property
    def n_documents(self) -> int:
        """Number of documents, each counted once where it was cut into passages."""
        if self.stored.manifest.passages is None:
            return self.stored.manifest.n_docs
        return sum(map(_n_documents, self.stored.segments))

    def get(self, doc_id: str) -> Document | None:
        """Return a document, put together again where it was cut into passages; None if it isn't there."""
        return self.get_all([doc_id])[0]

    def get_all(self, doc_ids: Sequence[str]) -> list[Document | None]:
        """Return documents in the order of their doc_ids, None for one that isn't there."""
        from lsr.indexer.update.passages import owner_of, passages_of, whole

        found = self.stored.get(doc_ids)
        if self.stored.manifest.passages is None:
            return found
        return [
            None if first is None or owner_of(first) != doc_id else whole(passages_of(self.stored, doc_id))
            for doc_id, first in zip(doc_ids, found, strict=True)
        ]

    def is_whole(self, doc_id: str) -> bool:
        """Tell whether a doc_id isn't the name of a passage of another document."""
        from lsr.indexer.update.passages import owner_of

        (found,) = self.stored.get([doc_id])
        return found is None or owner_of(found) == doc_id

    def documents(self, where: str | None = None) -> Iterator[Document]:
        """Return an iterator over the documents in the order in which they were added. where: filter on their fields.

        Raises FilterError for a filter that can't be understood, at once.
        """
        from lsr.indexer.update.passages import owner_of, whole

        allowed = None
        if where is not None:
            from lsr.query.filters.masks import compile_filter

            allowed = compile_filter(self.stored, where).bitmaps
        stored = self.stored.documents(allowed)
        if self.stored.manifest.passages is None:
            return stored
        return (whole(list(passages)) for _, passages in groupby(stored, owner_of))


def _n_documents(segment: Any) -> int:
    """Count the documents of a segment: rows that aren't passages, and the first passage of each document."""
    import pyarrow.compute as pc

    live = segment.live_rows
    if segment.fields is None or PASSAGE_OF not in segment.fields.kinds:
        return int(live.sum())
    owner = segment.fields.column(PASSAGE_OF, "text")
    first = pc.fill_null(pc.equal(owner, segment.documents.column("doc_id")), fill_value=True)
    return int((live & first.to_numpy()).sum())
