"""An index on disk, opened for reading: one generation of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.errors import IndexDamagedError, IndexMissingError, UsageError
from lsr.indexer.rarity import Collection, by_rarity
from lsr.indexer.storage.checks_on_read import check_files
from lsr.indexer.storage.deletions import unpack
from lsr.indexer.storage.dense_vectors import DenseVectorsOfIndex
from lsr.indexer.storage.generations import Hold, generations, hold_generation, hold_newest
from lsr.indexer.storage.manifest import REMEDY, Manifest, SegmentInfo, read_manifest
from lsr.indexer.storage.segment import Segment
from lsr.indexer.storage.vocabulary import FILES as VOCABULARY_FILES
from lsr.indexer.storage.vocabulary import Vocabulary
from lsr.indexer.transfer.read_vectors import READY_VECTORS, ReadyVectors
from lsr.types import Document

DEFAULT_NAME = ".lsr"


def find_index(start: Path) -> Path:
    """Return the index folder `.lsr` in `start` or the nearest parent that has one.

    Raises IndexMissingError if none has.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if generations(folder / DEFAULT_NAME):
            return folder / DEFAULT_NAME
    raise IndexMissingError(
        f"no index here: neither {start} nor a folder above it has {DEFAULT_NAME}; make one with 'lsr index CORPUS', "
        "or name one with --index DIR"
    )


class Index:
    """A generation of an index. Immutable: later commits by any writer don't change it.

    Its files stay in their place until it is closed or forgotten, whatever writers do meanwhile.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        hold: Hold,
        *,
        encoder: str | Path | None = None,
        dense_encoder: str | Path | None = None,
        before: Index | None = None,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self._hold = hold
        self._moved_to = {"encoder": encoder, "dense_encoder": dense_encoder}
        self._opening = threading.Lock()
        manifest.vocabulary.check_sizes(path, expected=VOCABULARY_FILES)
        manifest.encoder_files.check_sizes(path)
        known = {} if before is None else {_name_of(segment.info): segment for segment in before.segments}
        self.segments: tuple[Segment, ...] = tuple(
            known.get(_name_of(info)) or Segment(path, info) for info in manifest.segments
        )
        if before is not None and before.manifest.vocabulary == manifest.vocabulary:
            names = ["vocabulary"]
            if before.manifest.encoder_files == manifest.encoder_files:
                names += ["_query_encoder", "_dense_encoder", "_dense_query_encoder"]
            self.__dict__.update({name: before.__dict__[name] for name in names if name in before.__dict__})
        self._check_dimensions()

    def _check_dimensions(self) -> None:
        for segment in self.segments:
            due = None if self.manifest.dense is None else self.manifest.dense["dimension"]
            if segment.dense is not None and segment.dense.shape[1] != due:
                raise IndexDamagedError(
                    f"{segment.folder}: its dense vectors have dimension {segment.dense.shape[1]}, "
                    f"but those of the index have {due}; {REMEDY}"
                )

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        generation: int | None = None,
        encoder: str | Path | None = None,
        dense_encoder: str | Path | None = None,
    ) -> Index:
        """Open the index at `path`, its last generation by default.

        encoder, dense_encoder: where the models of queries are now, if they aren't where they were.
        Raises IndexMissingError, or IndexDamagedError naming what is wrong.
        """
        path = Path(path)
        if generation is None:
            generation, hold = hold_newest(path)
        else:
            held = hold_generation(path, generation)
            if held is None:
                raise IndexMissingError(f"no generation {generation} of the index at {path}")
            hold = held
        return cls(path, read_manifest(path, generation), hold, encoder=encoder, dense_encoder=dense_encoder)

    def refresh(self) -> Index:
        """Return the index's last generation: itself, or a new one that shares with it what has not changed.

        This one stays as it is, and open. Raises what `open` raises.
        """
        generation, hold = hold_newest(self.path)
        if generation == self.manifest.generation:
            hold.release()
            return self
        return Index(self.path, read_manifest(self.path, generation), hold, **self._moved_to, before=self)

    def close(self) -> None:
        """Let writers remove this generation's files once there is a newer one. What was read stays valid."""
        self._hold.release()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.manifest.n_docs

    @property
    def n_positions(self) -> int:
        """Positions that documents may have: as many as there are documents, and those deleted since the last merge."""
        return self.manifest.n_positions

    def get(self, doc_ids: Sequence[str]) -> list[Document | None]:
        """Return the documents of some doc_ids, None for one that isn't there."""
        found: list[Document | None] = [None] * len(doc_ids)
        for segment in self.segments:
            for i, row in enumerate(segment.find(doc_ids)):
                if row is not None:
                    found[i] = segment.document(row)
        return found

    def documents(self, allowed: Sequence[npt.NDArray[np.uint64]] | None = None) -> Iterator[Document]:
        """Yield the documents in the order in which they were added.

        allowed: a bitmap a segment, as filters have them; default all. Raises IndexDamagedError.
        """
        for number, segment in enumerate(self.segments):
            rows = segment.live_rows
            if allowed is not None:
                rows = rows.copy()
                rows[segment.arrays["insertion"]] &= unpack(allowed[number], segment.n_docs)
            yield from segment.documents.some(rows)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The terms. Raises IndexDamagedError if they are not what was written."""
        check_files(self.path, self.manifest.vocabulary, VOCABULARY_FILES)
        return Vocabulary(self.manifest.vocabulary.folder(self.path))

    @property
    def query_encoder(self) -> Any:
        """The encoder that queries of this index take (`lsr.encoders.base.QueryEncoder`), loaded when first asked for.

        Raises EncoderError if it can't be loaded, or is another than the index was built with.
        """
        with self._opening:
            return self._weighed_query_encoder

    @cached_property
    def _weighed_query_encoder(self) -> Any:
        # Apart from what generations share: how rare a term is, each knows for itself.
        return by_rarity(self._query_encoder, self.collection, self.manifest.encoder)

    @cached_property
    def _query_encoder(self) -> Any:
        if self.manifest.encoder["kind"] == READY_VECTORS:
            return ReadyVectors()
        from lsr.encoders.registry import open_query_encoder

        check_files(self.path, self.manifest.encoder_files, self.manifest.encoder_files.files)
        return open_query_encoder(
            self.manifest.encoder,
            self.manifest.encoder_files.folder(self.path),
            self.vocabulary.lookup,
            len(self.vocabulary),
            moved_to=self._moved_to["encoder"],
        )

    def fit_query_encoder(self, encoder: Encoder) -> Any:
        """Return what encodes queries of this index, where its encoder is loaded already, and needn't be again.

        Raises EncoderError for another than the index's.
        """
        from lsr.encoders.registry import fit_query_encoder

        fitted = fit_query_encoder(encoder, self.manifest.encoder, self.vocabulary.lookup, len(self.vocabulary))
        if fitted is None:
            return self.query_encoder
        return by_rarity(fitted, self.collection, self.manifest.encoder)

    @property
    def collection(self) -> Collection:
        """The documents, as those see them who ask how many hold a term."""
        return Collection(self.segments, len(self))

    @cached_property
    def dense(self) -> DenseVectorsOfIndex | None:
        """The dense vectors of all segments with the description of their encoder, None if there are none."""
        if self.manifest.dense is None:
            return None
        matrices = tuple(segment.dense for segment in self.segments if segment.dense is not None)
        return DenseVectorsOfIndex(self.manifest.dense, matrices)

    @property
    def dense_encoder(self) -> Any:
        """What encodes queries for the dense vectors (`lsr.encoders.dense.base.DenseEncoder`), loaded when first asked.

        Raises UsageError for an index without dense vectors, EncoderError if it can't be loaded, or is another than
        the documents' was.
        """
        with self._opening:
            return self._dense_encoder

    @property
    def dense_query_encoder(self) -> Any:
        """What encodes queries for the dense vectors, without torch where that can be (`encode_dense_queries`).

        Raises what `dense_encoder` raises.
        """
        with self._opening:
            return self._dense_query_encoder

    @cached_property
    def _dense_query_encoder(self) -> Any:
        from lsr.encoders.dense.numpy_encoder import open_bare

        if self.manifest.dense is None or "_dense_encoder" in self.__dict__:
            return self._dense_encoder
        return open_bare(self.manifest.dense, moved_to=self._dense_moved_to) or self._dense_encoder

    @property
    def _dense_moved_to(self) -> str | Path | None:
        joint = self.manifest.dense is not None and self.manifest.dense["kind"] == self.manifest.encoder["kind"]
        return self._moved_to["dense_encoder"] or (self._moved_to["encoder"] if joint else None)

    @cached_property
    def _dense_encoder(self) -> Any:
        from lsr.encoders.registry import open_dense_encoder

        if self.manifest.dense is None:
            raise UsageError(
                f"the index at {self.path} has no dense vectors: add them by 'lsr index --index {self.path} "
                "--dense E', E being a dense model"
            )
        return open_dense_encoder(self.manifest.dense, moved_to=self._dense_moved_to)


def _name_of(info: SegmentInfo) -> tuple[str, ...]:
    """Return what no other segment with other deletions or dense vectors is called."""
    return info.part.id, *("" if part is None else part.id for part in (info.deletions, info.dense))
