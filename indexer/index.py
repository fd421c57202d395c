"""An index on disk, opened for reading: one generation of it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from lsr.errors import IndexMissingError
from lsr.indexer.manifest import Manifest, read_manifest
from lsr.indexer.segment import Segment
from lsr.indexer.vectors import READY_VECTORS, ReadyVectors
from lsr.indexer.vocabulary import Vocabulary

DEFAULT_NAME = ".lsr"


def find_index(start: Path) -> Path:
    """Return the index folder `.lsr` in `start` or the nearest parent that has one.

    Raises IndexMissingError if none has.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / DEFAULT_NAME).is_dir():
            return folder / DEFAULT_NAME
    raise IndexMissingError(
        f"no index here: {start} and its parents have no {DEFAULT_NAME}; make one with 'lsr index CORPUS'"
    )


class Index:
    """A generation of an index. Immutable: later commits by any writer don't change it."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.segments = tuple(Segment(path, info) for info in manifest.segments)

    @classmethod
    def open(cls, path: str | Path, *, generation: int | None = None) -> Index:
        """Open the index at `path`, its last generation by default.

        Raises IndexMissingError, or IndexDamagedError naming what is wrong.
        """
        path = Path(path)
        return cls(path, read_manifest(path, generation))

    def __len__(self) -> int:
        return self.manifest.n_docs

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The terms."""
        return Vocabulary(self.manifest.vocabulary.folder(self.path))

    @cached_property
    def query_encoder(self) -> Any:
        """The encoder that queries of this index take (`lsr.encoders.base.QueryEncoder`)."""
        if self.manifest.encoder["kind"] == READY_VECTORS:
            return ReadyVectors()
        from lsr.encoders.registry import open_query_encoder

        return open_query_encoder(
            self.manifest.encoder,
            self.manifest.encoder_files.folder(self.path),
            self.vocabulary.lookup,
            len(self.vocabulary),
        )
