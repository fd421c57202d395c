"""Making an index: documents and their vectors come in, a generation is committed, all of it or none."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import lsr
from lsr.encoders.base import Encoder
from lsr.errors import IndexDamagedError, IndexExistsError, LsrError, UsageError
from lsr.indexer import dense as dense_vectors
from lsr.indexer.files import FileInfo, checksum, sync_folder
from lsr.indexer.generations import PART_KINDS, SCRATCH_PREFIX, generations, is_ours, names_in, remove_leftovers
from lsr.indexer.lock import NAME as LOCK_NAME
from lsr.indexer.lock import writer_lock
from lsr.indexer.manifest import LARGEST_INDEX, Manifest, Part, SegmentInfo, write_manifest
from lsr.indexer.pending import Pending, refuse_duplicates
from lsr.indexer.progress import Progress, Silence
from lsr.indexer.segment import DOCUMENTS, save_arrays
from lsr.indexer.statistics import corpus_statistics, weigh
from lsr.indexer.vocabulary import save_vocabulary
from lsr.types import Document, SparseBatch

_FREE = "free some space, or choose another place with --index"
_ALLOW = "change its permissions, or choose another place with --index"
_REMEDIES = {errno.ENOSPC: _FREE, errno.EDQUOT: _FREE, errno.EACCES: _ALLOW, errno.EPERM: _ALLOW}


class IndexWriter:
    """Collects documents for a new index at `path`; nothing is seen there before `commit`.

    A context manager: leaving it without a commit, or by an exception, leaves no trace; after an exception
    there is nothing else to do. dense: the description of the encoder of dense vectors, if they come too.
    passages: how documents were cut into passages, to be recorded; may still be set before the commit. Raises
    IndexExistsError if there is an index and not `overwrite`, IndexLockedError if another writer is at it,
    UsageError if the folder holds other things, LsrError if it can't be written to.
    """

    def __init__(
        self,
        path: Path,
        encoder: Encoder,
        *,
        overwrite: bool = False,
        reorder: bool = True,
        threads: int = 2,
        progress: Progress | None = None,
        dense: Mapping[str, Any] | None = None,
        passages: Mapping[str, int] | None = None,
    ) -> None:
        self.path = path
        self._dense = dense
        self.passages = passages
        self.n_docs = 0
        self._encoder = encoder
        self._reorder = reorder
        self._threads = threads
        self._progress = progress or Silence()
        self._pending: list[Pending] = []
        self._stack = ExitStack()
        try:
            with explained(path):
                self._begin(overwrite)
        except BaseException:
            self.close()
            raise

    def _begin(self, overwrite: bool) -> None:
        _refuse_foreign(self.path)
        _refuse_existing(self.path, overwrite)
        self._stack.callback(_remove_empty, _make_folders(self.path))
        self._stack.enter_context(writer_lock(self.path))
        self._stack.callback(self._tidy)
        _refuse_existing(self.path, overwrite)
        remove_leftovers(self.path)
        self._scratch = self.path / f"{SCRATCH_PREFIX}{secrets.token_hex(6)}"
        self._scratch.mkdir()
        self._stack.callback(shutil.rmtree, self._scratch, ignore_errors=True)

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was not committed and give the lock back."""
        for pending in self._pending:
            pending.close()
        self._pending = []
        self._stack.close()

    def _tidy(self) -> None:
        """Take away what was not committed, and every folder of ours where there is no index at all."""
        with suppress(OSError, IndexDamagedError):
            remove_leftovers(self.path)
            if not generations(self.path):
                _remove_empty([self.path / kind for kind in PART_KINDS])
                (self.path / LOCK_NAME).unlink(missing_ok=True)

    def add(
        self, documents: Sequence[Document], vectors: SparseBatch, dense: npt.NDArray[np.floating] | None = None
    ) -> None:
        """Add documents with one row of vectors each; dense: a row each where the index has dense vectors.

        Raises LsrError if the counts or the dimension differ, EncoderError naming a document whose dense vector
        isn't made of numbers.
        """
        if len(documents) != len(vectors):
            raise LsrError(f"{len(documents)} documents, but {len(vectors)} vectors")
        if (dense is None) != (self._dense is None):
            due = "lack dense vectors, which" if dense is None else "have dense vectors, which none of"
            raise LsrError(f"{len(documents)} documents {due} the index's others have: all have them, or none")
        if self.n_docs + len(documents) > LARGEST_INDEX:
            raise LsrError(f"more than {LARGEST_INDEX:,} documents, the limit of an index; make several")
        with explained(self.path):
            first = 0
            while first < len(documents):
                if not self._pending or self._pending[-1].room == 0:
                    dimension = None if self._dense is None else int(self._dense["dimension"])
                    folder = self._scratch / f"segment-{len(self._pending)}"
                    self._pending.append(Pending(folder, dimension=dimension))
                last = min(len(documents), first + self._pending[-1].room)
                some = None if dense is None else dense[first:last]
                self._pending[-1].append(documents[first:last], _rows(vectors, first, last), some)
                first = last
        self.n_docs += len(documents)

    def commit(self) -> Manifest:
        """Build what was added, make it the index's next generation, and return its manifest."""
        with explained(self.path):
            return self._commit()

    def _commit(self) -> Manifest:
        from lsr.indexer.build import choose_scale

        for pending in self._pending:
            pending.finish()
        refuse_duplicates(self._pending)
        weighting = self._encoder.corpus_weighting
        statistics: Mapping[str, float] = {}
        if weighting is not None:
            vocab_size = len(self._encoder.terms)
            known = corpus_statistics([pending.rows for pending in self._pending], vocab_size)
            statistics = {"n_docs": known.n_docs, "mean_length": known.mean_length}
            for pending in self._pending:
                pending.replace_weights(weigh(pending.rows, vocab_size, known, weighting))
        # An encoder may know its scale: one that depends on the data alone would differ between indexes.
        scale = choose_scale([pending.rows for pending in self._pending], final=weighting is not None)
        before = generations(self.path)
        generation = before[-1] + 1 if before else 1
        part_id = f"{generation:08d}-{secrets.token_hex(4)}"
        segments, n_clipped = [], 0
        self._progress.start("indexing", self.n_docs, "document")
        for number, pending in enumerate(self._pending):
            segment, clipped = self._build(pending, f"{part_id}-{number}", scale)
            segments.append(segment)
            n_clipped += clipped
        manifest = Manifest(
            generation=generation,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            library_version=lsr.__version__,
            encoder=dict(self._encoder.description),
            scale=scale,
            n_clipped=n_clipped,
            vocabulary=self._save("vocabulary", part_id, lambda f: save_vocabulary(f, self._encoder.terms)),
            encoder_files=self._save("encoder", part_id, self._save_query_side),
            segments=tuple(segments),
            statistics=statistics,
            dense=self._dense,
            passages=self.passages,
        )
        write_manifest(self.path, manifest)
        self._pending = []
        return manifest

    def _build(self, pending: Pending, part_id: str, scale: float) -> tuple[SegmentInfo, int]:
        from lsr.indexer.build import segment_arrays

        arrays, clipped = segment_arrays(
            pending.rows,
            scale,
            len(self._encoder.terms),
            reorder=self._reorder,
            threads=self._threads,
            advance=self._progress.advance,
        )
        id_hash, id_row = pending.id_table()
        files = save_arrays(pending.folder, arrays | {"id_hash": id_hash, "id_row": id_row})
        n_docs, n_postings = pending.n_docs, pending.n_postings
        pending.delete_spool()
        part = self._keep(Part("segments", part_id, files | {DOCUMENTS: pending.documents_info}), pending.folder)
        dense = None
        if pending.dense is not None:
            dense = self._keep(Part(dense_vectors.KIND, part_id, pending.dense.finish()), pending.dense.folder)
        return SegmentInfo(part, n_docs, n_postings, dense), clipped

    def _save_query_side(self, folder: Path) -> dict[str, FileInfo]:
        self._encoder.save_query_side(folder)
        files = {}
        for path in sorted(folder.iterdir()):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            files[path.name] = checksum(path)
        return files

    def _save(self, kind: str, part_id: str, save: Any) -> Part:
        folder = self._scratch / kind
        folder.mkdir()
        return self._keep(Part(kind, part_id, save(folder)), folder)

    def _keep(self, part: Part, folder: Path) -> Part:
        return keep_part(self.path, part, folder)


def keep_part(index: Path, part: Part, folder: Path) -> Part:
    """Move a finished folder to its place in the index."""
    target = part.folder(index)
    target.parent.mkdir(exist_ok=True)
    sync_folder(folder)
    folder.rename(target)
    sync_folder(target.parent)
    return part


def _rows(vectors: SparseBatch, first: int, last: int) -> SparseBatch:
    if (first, last) == (0, len(vectors)):
        return vectors
    indptr = vectors.indptr[first : last + 1]
    span = slice(indptr[0], indptr[-1])
    return SparseBatch(indptr - indptr[0], vectors.term_ids[span], vectors.weights[span], vectors.vocab_size)


def _refuse_foreign(path: Path) -> None:
    """Raise UsageError for a folder that holds what no writer made."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file, not a folder; choose another --index")
    names = names_in(path)
    foreign = sorted(name for name in names if name != LOCK_NAME and not is_ours(name))
    # A folder `segments` alone may be anything; beside a lock or a manifest it is ours.
    ours = LOCK_NAME in names or generations(path)
    if names and (not ours or foreign):
        raise UsageError(
            f"{path} is a folder with other things in it ({(foreign or names)[0]}); choose another --index"
        )


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if generations(path) and not overwrite:
        raise IndexExistsError(
            f"there is an index at {path} already; --overwrite replaces it, --index DIR makes another"
        )


def _make_folders(path: Path) -> list[Path]:
    """Make a folder and those above it; return those that were made, the innermost first."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says into an error that names the remedy."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "choose another place with --index")
        raise LsrError(
            f"can't write the index at {path}: {error.strerror or error}; what was there is unchanged; {remedy}"
        ) from error
