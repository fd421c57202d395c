"""An index on disk: one generation of it, opened for reading."""

from __future__ import annotations

import logging
import os
import pwd
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError, IndexMissingError, UsageError
from lsr.indexer.integrity.damage import REMEDY
from lsr.indexer.storage.checks_on_read import check_files
from lsr.indexer.storage.deletions import unpack
from lsr.indexer.storage.dense_vectors import DenseVectorsOfIndex
from lsr.indexer.storage.generations import Hold, generations, hold_generation, hold_newest, open_folder, stamp_at
from lsr.indexer.storage.manifest import Manifest, SegmentInfo, read_manifest
from lsr.indexer.storage.segment import Segment
from lsr.indexer.storage.vocabulary import FILES as VOCABULARY_FILES
from lsr.indexer.storage.vocabulary import Vocabulary
from lsr.io.folder import Folder
from lsr.io.fork_safe import cached_property
from lsr.types import Document

SETTLED_NS = 2_000_000_000
"""Age of a folder's last change from which its time shows the next one: the coarsest clock of a file system."""

log = logging.getLogger(__name__)

DEFAULT_NAME = ".lsr"
_TRIES = 100


def not_a_link(path: Path) -> Path:
    """Return the path of an index that nobody has named. Raises UsageError for a link, which could lead anywhere."""
    if path.is_symlink():
        raise UsageError(f"{path} is a link: if the index that it leads to is meant, name it by --index {path}")
    return path


def find_index(start: Path, *, to_write: bool = False) -> Path:
    """Return the index folder `.lsr` in `start` or the nearest parent that has one.

    Where it belongs to another user, a warning is logged: who can write to a folder above decides what is found.
    to_write: the index will be changed. Raises IndexMissingError if no folder has one, UsageError if it is a link, or
    belongs to another user and will be changed.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if generations(folder / DEFAULT_NAME):
            return _own(not_a_link(folder / DEFAULT_NAME), to_write=to_write)
    raise IndexMissingError(
        f"no index here: neither {start} nor a folder above it has {DEFAULT_NAME}; make one with 'lsr index CORPUS', "
        "or name one with --index DIR"
    )


def refuse_other_owner(path: Path) -> None:
    """Raise UsageError for an index that nobody has named, and that belongs to another user."""
    if (owner := other_owner(path)) is not None:
        raise UsageError(f"{path} belongs to {owner}: to change it, name it by --index {path}")


def other_owner(path: Path) -> str | None:
    """Return the user that an index or its folder belongs to, None where that is the present one."""
    for place in (path, path.parent):
        uid = place.lstat().st_uid
        if uid != os.geteuid() and (place == path or uid != 0):  # folders above are often the system's
            try:
                return f"the user {pwd.getpwuid(uid).pw_name}"
            except KeyError:
                return f"the user number {uid}"
    return None


def _own(path: Path, *, to_write: bool) -> Path:
    if to_write:
        refuse_other_owner(path)
    elif (owner := other_owner(path)) is not None:
        log.warning(f"using the index at {path}, which belongs to {owner}; --index DIR names another")
    return path


class _FolderState(NamedTuple):
    """The identity of a folder and the time of the last change of what is in it."""

    device: int
    inode: int
    mtime_ns: int


def _state_of(path: Path) -> _FolderState | None:
    try:
        found = os.stat(path)  # noqa: PTH116  half the time of Path.stat
    except OSError:
        return None
    return _FolderState(found.st_dev, found.st_ino, found.st_mtime_ns)


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
    """

    def __init__(self, folder: Folder, manifest: Manifest, hold: Hold, *, before: StoredIndex | None = None) -> None:
        self.path = folder.path
        self.folder = folder
        self.manifest = manifest
        self._hold = hold
        self._newest_in: _FolderState | None = None
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
    def open(cls, path: str | Path, *, generation: int | None = None) -> StoredIndex:
        """Open the index at `path`. generation: default, the newest.

        Raises IndexMissingError, or IndexDamagedError naming what is wrong.
        """
        return cls._opened(Path(path), generation)

    @classmethod
    def _opened(cls, path: Path, generation: int | None, before: StoredIndex | None = None) -> StoredIndex:
        """Open a generation, again where another index takes its place in the meantime."""
        for _ in range(_TRIES):
            folder = open_folder(path)
            found, hold = _held(folder, generation)
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
        return StoredIndex._opened(self.path, None, self)

    def is_newest(self) -> bool:
        """Return whether this is what `refresh` would return, False where there is no index any more.

        It costs one system call while nothing in the folder changes. Raises IndexDamagedError where that can't be read.
        """
        state = _state_of(self.path)
        if state is not None and state == self._newest_in:
            return True
        is_newest = max(generations(self.path), default=None) == self.manifest.generation and self.is_there()
        # The time of a folder that was changed just now may not show the next change.
        if is_newest and state is not None and time.time_ns() - state.mtime_ns > SETTLED_NS:
            self._newest_in = state
        return is_newest

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
        return self.manifest.n_positions

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
        for number, segment in enumerate(self.segments):
            rows = segment.live_rows
            if allowed is not None:
                rows = rows.copy()
                rows[segment.arrays["insertion"]] &= unpack(allowed[number], segment.n_docs)
            yield from segment.documents.some(rows)

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


def _held(folder: Folder, generation: int | None) -> tuple[int, Hold]:
    """Return a generation, the newest by default, held."""
    if generation is None:
        return hold_newest(folder)
    held = hold_generation(folder, generation)
    if held is None:
        raise IndexMissingError(f"no generation {generation} of the index at {folder.path}")
    return generation, held


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
