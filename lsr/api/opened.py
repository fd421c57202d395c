"""One generation of an index, opened for reading and searching."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.api.arguments import check_flag, check_name, shown
from lsr.api.documents import count_documents
from lsr.api.encoders import NAMES_A_MODEL
from lsr.errors import UsageError
from lsr.io.fork_safe import cached_property
from lsr.io.option_spec import is_number
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.query.shards.open import open_searcher

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.query.shards.transport import Transport

Place = str | Path | None
"""Present place of a model; None: where it was."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The way in which an index is opened for searches; the values are those of `lsr.open`. root: URL of the set."""

    transport: Transport | None = None
    timeout: float | None = None
    partial: bool = False
    root: str | None = None

    @classmethod
    def of(cls, transport: Any, timeout: Any, partial: Any) -> Opening:
        """Check the arguments of `lsr.open`. Raises UsageError."""
        if transport is not None and not hasattr(transport, "connect"):
            raise UsageError(f"transport is {shown(transport)}; it must be a way to shards, such as RayActors()")
        if timeout is not None and (not is_number(timeout) or not timeout > 0):
            raise UsageError(f"timeout is {shown(timeout)}; it must be a number of seconds above 0")
        if timeout is not None and transport is None:
            raise UsageError("timeout is of a transport to shards: name one, such as RayActors()")
        return cls(transport, timeout, check_flag(partial, "partial"))

    def rooted(self, url: str) -> Opening:
        """Return the same for a set at a URL."""
        return replace(self, root=url)


AS_ONE = Opening()


class Opened:
    """One generation of an index. Safe to use from many threads; later commits don't change it."""

    def __init__(
        self, searcher: Searcher, encoder: Encoder | None, place: Place, dense_place: Place, opening: Opening = AS_ONE
    ) -> None:
        self.opening = opening
        self.searcher = searcher
        self.stored = searcher.index
        self.encoder = encoder
        self.encoder_place = place
        self.dense_encoder_place = dense_place

    @classmethod
    def of(
        cls, path: Path, encoder: Any, dense_encoder: Any, generation: int | None, opening: Opening = AS_ONE
    ) -> Opened:
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
        searcher = open_searcher(
            path, generation=generation, transport=opening.transport, timeout_s=opening.timeout, root=opening.root,
            options=SearchOptions(partial=opening.partial), encoder=place if loaded is None else loaded,
            dense_encoder=dense_place,
        )  # fmt: skip
        return cls(searcher, loaded, place, dense_place, opening)

    def refreshed(self) -> Opened:
        """Return the last generation: this one, or another that shares with it what has not changed."""
        searcher = self.searcher.refresh()
        if searcher is self.searcher:
            return self
        return Opened(searcher, self.encoder, self.encoder_place, self.dense_encoder_place, self.opening)

    @property
    def generation(self) -> int:
        """The number of the generation."""
        return self.stored.manifest.generation

    @cached_property
    def n_documents(self) -> int:
        """Number of documents, each counted once where it was cut into passages."""
        return count_documents(self.stored)
