"""One generation of an index, opened for reading and searching."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.api.arguments import check_name, shown
from lsr.api.documents import count_documents
from lsr.api.encoders import NAMES_A_MODEL
from lsr.errors import UsageError
from lsr.indexer.storage.index import StoredIndex
from lsr.io.fork_safe import cached_property
from lsr.query.searcher import Searcher

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder

Place = str | Path | None
"""Present place of a model; None: where it was."""


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
        stored = StoredIndex.open(path, generation=generation)
        searcher = Searcher(stored, encoder=place if loaded is None else loaded, dense_encoder=dense_place)
        return cls(searcher, loaded, place, dense_place)

    def refreshed(self) -> Opened:
        """Return the last generation: this one, or another that shares with it what has not changed."""
        searcher = self.searcher.refresh()
        if searcher is self.searcher:
            return self
        return Opened(searcher, self.encoder, self.encoder_place, self.dense_encoder_place)

    @property
    def generation(self) -> int:
        """The number of the generation."""
        return self.stored.manifest.generation

    @cached_property
    def n_documents(self) -> int:
        """Number of documents, each counted once where it was cut into passages."""
        return count_documents(self.stored)
