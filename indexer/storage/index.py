"""An index on disk: one generation of it, opened for reading."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError, IndexMissingError, UsageError
from lsr.indexer.integrity.damage import REMEDY
from lsr.indexer.pruning import pruning_together
from lsr.indexer.shards.agreement import check_agreement, open_shards, vocabulary_bytes
from lsr.indexer.shards.manifest import (
    HASH,
    SetManifest,
    ShardInfo,
    is_set,
    read_set,
    set_generations,
    set_name,
)
from lsr.indexer.shards.places import Places
from lsr.indexer.storage.checks_on_read import check_files
from lsr.indexer.storage.deletions import unpack
from lsr.indexer.storage.dense_vectors import DenseVectorsOfIndex
from lsr.indexer.storage.generations import (
    SETTLED_NS,
    FolderState,
    Hold,
    generations,
    hold_file,
    hold_of,
    open_folder,
    stamp_at,
    stamp_of_file,
    state_of_folder,
)
from lsr.indexer.storage.manifest import Manifest, SegmentInfo, read_manifest
from lsr.indexer.storage.segment import Segment
from lsr.indexer.storage.vocabulary import FILES as VOCABULARY_FILES
from lsr.indexer.storage.vocabulary import Vocabulary
from lsr.io.folder import Folder
from lsr.io.fork_safe import cached_property
from lsr.types import Document, MissingShard

_TRIES = 100


@dataclass(frozen=True, slots=True)
class IndexIdentity:
    """The identity of one generation of an index: equal for all that open the same documents in the same order.

    segments: a key a segment, which changes with its deletions and dense vectors, and, since writers choose random
    ids, with an index that is made again at the same path.
    """

    path: str
    generation: int
    segments: tuple[tuple[str, ...], ...]


class StoredIndex:
    """A generation of an index on disk. Immutable: later commits by any writer don't change it.

    Its files are kept until it is closed or garbage-collected, whatever writers do meanwhile. It opens no encoders.
    places: the positions of the documents. shards: the indexes that a set is made of; none where it is an index.
    partition: how a set's documents are divided, `range` or `hash`; None for an index. missing: shards that a set was
    opened without. agreed_kinds: of fields, where other shards decide them, too.
    """

    shards: tuple[StoredIndex, ...] = ()
    partition: str | None = None
    missing: tuple[MissingShard, ...] = ()
    agreed_kinds: Mapping[str, str] | None = None
    _newest_in: FolderState | None = None

    def __init__(self, folder: Folder, manifest: Manifest, hold: Hold, *, before: StoredIndex | None = None) -> None:
        self.path = folder.path
        self.folder = folder
        self.manifest = manifest
        self._hold = hold
        self.counts_of_documents: dict[tuple[str, ...], int] = {}
        """Documents of each segment by its key, as far as they were counted: fewer than its passages."""
        keys = tuple(map(segment_key, manifest.segments))
        self.identity = IndexIdentity(str(folder.path.resolve()), manifest.generation, keys)
        manifest.vocabulary.check_sizes(folder, expected=VOCABULARY_FILES)
        manifest.encoder_files.check_sizes(folder)
        known = {} if before is None else dict(zip(before.identity.segments, before.segments, strict=True))
        self.segments: tuple[Segment, ...] = tuple(
            _reusable(known.get(key), folder, info) or Segment(folder, info)
            for key, info in zip(keys, manifest.segments, strict=True)
        )
        shares_vocabulary = before is not None and before.manifest.vocabulary == manifest.vocabulary
        if before is not None and shares_vocabulary and "vocabulary" in before.__dict__:
            self.__dict__["vocabulary"] = before.__dict__["vocabulary"]
        self.places = Places(self.segments)
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
        cls, path: str | Path, *, generation: int | None = None, partial: bool = False, follow: bool = True
    ) -> StoredIndex:
        """Open the index, or the set of shards, at `path`. generation: default, the newest.

        partial: leave out shards that are missing or damaged. follow: the path may end in a link; not that of a shard.
        Raises IndexMissingError, or IndexDamagedError.
        """
        place = Path(path)
        if follow and is_set(place):
            return StoredSet.opened(place, generation, None, partial)
        return cls._opened(place, generation, follow=follow)

    @classmethod
    def _opened(
        cls, path: Path, generation: int | None, before: StoredIndex | None = None, *, follow: bool = True
    ) -> StoredIndex:
        """Open a generation, again where another index takes its place in the meantime."""
        for _ in range(_TRIES):
            folder = open_folder(path, follow=follow)
            found, hold = hold_of(folder, generation)
            if before is not None and before._is(folder, found, hold):
                hold.release()
                return before
            try:
                manifest = read_manifest(folder, found)
                # Nothing of an index in another folder is shared, even if it looks the same: its files may be gone.
                shared = before if before is not None and before.folder.is_same(folder) else None
                return cls(folder, manifest, hold, before=shared)
            except (IndexDamagedError, IndexMissingError):
                hold.release()
                if stamp_at(path, found) == hold.stamp:
                    raise
        raise IndexDamagedError(f"{path}: another index is put there all the time; end the programs that do so")

    def _is(self, folder: Folder, generation: int, hold: Hold) -> bool:
        same = generation == self.manifest.generation and hold.stamp == self._hold.stamp
        return same and self.folder.is_same(folder)

    def refresh(self) -> StoredIndex:
        """Return the index's newest generation: itself, or another that shares with it what has not changed.

        Where the index was removed and made again, the new one is opened, whatever its generation. This one stays open
        and unchanged. Raises what `open` raises.
        """
        if is_set(self.path):
            return StoredSet.opened(self.path, None)
        return StoredIndex._opened(self.path, None, self)

    def is_newest(self) -> bool:
        """Return whether this is what `refresh` would return, False where there is no index any more.

        It costs one system call while nothing in the folder changes. Raises IndexDamagedError where that can't be read.
        """
        state = state_of_folder(self.path)
        if state is not None and state == self._newest_in:
            return True
        is_newest = self._newest_there() == self.manifest.generation and self.is_there()
        # The time of a folder that was changed just now may not show the next change.
        if is_newest and state is not None and time.time_ns() - state.changed_ns > SETTLED_NS:
            self._newest_in = state
        return is_newest

    def _newest_there(self) -> int | None:
        return max(generations(self.path), default=None)

    def is_there(self) -> bool:
        """Return whether this generation is still at the path that it was opened at.

        Raises IndexDamagedError where the folder can't be read.
        """
        return stamp_at(self.path, self.manifest.generation) == self._hold.stamp

    def close(self) -> None:
        """Let writers remove this generation's files once there is a newer one. Values already read stay valid."""
        self._hold.release()

    def __enter__(self) -> StoredIndex:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.manifest.n_docs

    @property
    def n_positions(self) -> int:
        """Number of positions: one a document, those deleted since the last merge included."""
        return self.places.n_positions

    def get(self, doc_ids: str | Iterable[str]) -> list[Document | None]:
        """Return the documents of some doc_ids, None for one that isn't there. A text is one doc_id."""
        doc_ids = list_of_ids(doc_ids)
        found: list[Document | None] = [None] * len(doc_ids)
        for segment in self.segments:
            for i, row in enumerate(segment.find(doc_ids)):
                if row is not None:
                    found[i] = segment.document(row)
        return found

    def documents(self, allowed: Sequence[npt.NDArray[np.uint64]] | None = None) -> Iterator[Document]:
        """Yield the documents in the order of their addition.

        allowed: a bitmap a segment, as filters have them; default all. Raises IndexDamagedError.
        """
        return (document for _, document in self.placed_documents(allowed))

    def placed_documents(
        self, allowed: Sequence[npt.NDArray[np.uint64]] | None = None, *, first: int = 0
    ) -> Iterator[tuple[int, Document]]:
        """Yield the documents with their positions, ascending. allowed: as for `documents`. first: least position."""
        found = [self._of_segment(number, allowed, first) for number in range(len(self.segments))]
        if self.places.is_sequential:
            return chain.from_iterable(found)
        return heapq.merge(*found, key=lambda placed: placed[0])

    def _of_segment(
        self, number: int, allowed: Sequence[npt.NDArray[np.uint64]] | None, first: int
    ) -> Iterator[tuple[int, Document]]:
        segment = self.segments[number]
        rows = segment.live_rows
        if allowed is not None:
            rows = rows.copy()
            rows[segment.arrays["insertion"]] &= unpack(allowed[number], segment.n_docs)
        positions = self.places.at(number, np.arange(segment.n_docs))
        if first:
            rows = rows & (positions >= first)
        if rows.any():
            yield from zip(positions[rows].tolist(), segment.documents.some(rows), strict=True)

    def by_segment(
        self, positions: npt.NDArray[np.int64]
    ) -> Iterator[tuple[Segment, npt.NDArray[np.int64], list[int]]]:
        """Yield each segment that holds some of the positions, their indices in `positions`, and their rows in it."""
        numbers, rows = self.places.find(positions)
        for number in np.unique(numbers).tolist():
            here = np.flatnonzero(numbers == number)
            yield self.segments[number], here, rows[here].tolist()

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The terms. Raises IndexDamagedError if they differ from what was written."""
        check_files(self.folder, self.manifest.vocabulary, VOCABULARY_FILES)
        return Vocabulary(self.manifest.vocabulary.open(self.folder))

    def document_frequencies(self, term_ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return how many documents hold each term, deleted ones not counted. Raises IndexDamagedError."""
        found = np.zeros(len(term_ids), np.int64)
        for segment in self.segments:
            local, at = segment.local_terms(term_ids)
            found[at] += segment.live_df(local)
        return found

    @cached_property
    def dense(self) -> DenseVectorsOfIndex | None:
        """The dense vectors of all segments with the description of their encoder, None if there are none."""
        if self.manifest.dense is None:
            return None
        matrices = tuple(segment.dense for segment in self.segments if segment.dense is not None)
        return DenseVectorsOfIndex(self.manifest.dense, matrices)


class StoredSet(StoredIndex):
    """A generation of a set of shards, searched as one index whose segments are those of all shards.

    Its manifest is put together: what the shards agree on, and all their segments. folder: that of the shard whose
    vocabulary the others' are beginnings of.
    """

    def __init__(
        self, folder: Folder, content: SetManifest, hold: Hold, shards: Sequence[StoredIndex],
        missing: Sequence[MissingShard], *, partial: bool,
    ) -> None:  # fmt: skip
        self.path = folder.path
        self.content = content
        self.missing = tuple(missing)
        self._partial = partial
        self.partition = content.partition
        self._hold = hold
        self.shards = tuple(shards)
        self.counts_of_documents = {}
        leader = max(self.shards, key=lambda shard: vocabulary_bytes(shard.manifest))
        self.folder = leader.folder
        self._leader = leader
        check_agreement(folder.path, content.scale, {shard.path.name: shard.manifest for shard in self.shards})
        self.manifest = replace(
            leader.manifest,
            generation=content.generation,
            created=content.created,
            library_version=content.library_version,
            n_clipped=sum(shard.manifest.n_clipped for shard in self.shards),
            pruning=pruning_together([shard.manifest.pruning for shard in self.shards]),
            segments=tuple(info for shard in self.shards for info in shard.manifest.segments),
            sources=None,
        )
        self.segments = tuple(segment for shard in self.shards for segment in shard.segments)
        keys = tuple(map(segment_key, self.manifest.segments))
        self.identity = IndexIdentity(str(folder.path.resolve()), content.generation, keys)
        self.places = Places(
            self.segments, next_position=content.next_position if content.partition == HASH else None
        )  # fmt: skip

    @classmethod
    def opened(
        cls, path: Path, generation: int | None, before: StoredIndex | None = None, partial: bool = False
    ) -> StoredIndex:
        """Open a generation of a set, the newest by default; see `StoredIndex.open`.

        before: another generation, with which what is the same is shared.
        """
        earlier = {} if before is None else {shard.path.name: shard for shard in before.shards}
        for _ in range(_TRIES):
            folder = open_folder(path)
            found = generation or max(set_generations(folder), default=0)
            hold = hold_file(folder, set_name(found))
            if hold is None and (generation is not None or not set_generations(folder)):
                raise IndexMissingError(f"no generation {found} of the set at {path}")
            if hold is None:
                continue
            if before is not None and before.manifest.generation == found and before._hold.stamp == hold.stamp:
                hold.release()
                return before
            try:
                content = read_set(folder, found)

                def one(place: Path, info: ShardInfo) -> StoredIndex:
                    return StoredIndex._opened(place, info.generation, earlier.get(info.name), follow=False)

                return cls(folder, content, hold, *open_shards(folder, content, one, partial), partial=partial)
            except (IndexDamagedError, IndexMissingError):
                hold.release()
                if stamp_of_file(path, set_name(found)) == hold.stamp:
                    raise
        raise IndexDamagedError(f"{path}: another set is put there all the time; end the programs that do so")

    def refresh(self) -> StoredIndex:
        """Return the newest generation; see `StoredIndex.refresh`."""
        if not is_set(self.path):
            return StoredIndex.open(self.path)
        return StoredSet.opened(self.path, None, self, self._partial)

    def _newest_there(self) -> int | None:
        return max(set_generations(self.path), default=None)

    def is_there(self) -> bool:
        """Return whether this generation is still at its path; see `StoredIndex.is_there`."""
        return stamp_of_file(self.path, set_name(self.content.generation)) == self._hold.stamp

    def close(self) -> None:
        """Let writers remove the files of this generation; see `StoredIndex.close`."""
        self._hold.release()
        for shard in self.shards:
            shard.close()

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The terms, the beginnings of which the other shards have. Raises IndexDamagedError."""
        return self._leader.vocabulary


def _reusable(segment: Segment | None, folder: Folder, info: SegmentInfo) -> Segment | None:
    """Return an open segment if it is the one of a manifest and its files are in the folder."""
    if segment is None or segment.info.parts != info.parts or not segment.files.is_same(info.part.open(folder)):
        return None
    return segment


def list_of_ids(doc_ids: Any) -> list[str]:
    """Return doc_ids as a list; a text is one id. Raises UsageError for what is no text."""
    if isinstance(doc_ids, str):
        return [doc_ids]
    if isinstance(doc_ids, bytes) or not isinstance(doc_ids, Iterable):
        raise UsageError(f"the doc_ids are {doc_ids!r:.60}; they must be a text or several texts")
    found = list(doc_ids)
    for doc_id in found:
        if not isinstance(doc_id, str):
            raise UsageError(f"a doc_id is {doc_id!r:.60}; it must be a text")
    return found


def segment_key(info: SegmentInfo) -> tuple[str, ...]:
    """Return a key that identifies a segment with its deletions and dense vectors."""
    return info.part.id, *("" if part is None else part.id for part in (info.deletions, info.dense))
