"""Making an index: documents and their vectors come in, a generation is committed, all of it or none."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import lsr
from lsr.encoders.base import Encoder
from lsr.errors import IndexExistsError, LsrError, UsageError
from lsr.indexer.documents import DocumentWriter
from lsr.indexer.files import FileInfo, checksum, sync_folder
from lsr.indexer.lock import NAME as LOCK_NAME
from lsr.indexer.lock import writer_lock
from lsr.indexer.manifest import Manifest, Part, SegmentInfo, generations, read_manifest, write_manifest
from lsr.indexer.progress import Progress, Silence
from lsr.indexer.segment import DOCUMENTS, hash_ids, save_arrays
from lsr.indexer.spool import Rows, Spool
from lsr.indexer.vocabulary import save_vocabulary
from lsr.types import Document, SparseBatch

SEGMENT_POSTINGS = 1 << 28
SEGMENT_DOCS = 1 << 24
PREFIX = "tmp-"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the whole corpus, for encoders that need them (`lsr.encoders.base.CorpusStatistics`)."""

    n_docs: int
    df: npt.NDArray[np.int64]
    mean_length: float


class _Pending:
    """A segment that is still being collected, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.documents = DocumentWriter(folder / DOCUMENTS)
        self.spool = Spool(folder)
        self.id_hashes: list[npt.NDArray[np.uint64]] = []

    def append(self, documents: Sequence[Document], vectors: SparseBatch) -> None:
        self.documents.append(documents)
        self.spool.append(vectors)
        self.id_hashes.append(hash_ids(d.doc_id for d in documents))

    @property
    def full(self) -> bool:
        return self.spool.n_postings >= SEGMENT_POSTINGS or self.documents.n_docs + (1 << 16) > SEGMENT_DOCS


class IndexWriter:
    """Collects documents for a new index at `path`; nothing is seen there before `commit`.

    A context manager: leaving it without a commit, or by an exception, leaves no trace. Raises
    IndexExistsError if there is an index and not `overwrite`, IndexLockedError if another writer is at it.
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
    ) -> None:
        self.path = path
        self._encoder = encoder
        self._reorder = reorder
        self._threads = threads
        self._progress = progress or Silence()
        self._made_folder = not path.exists()
        self._stack = ExitStack()
        try:
            path.mkdir(parents=True, exist_ok=True)
            foreign = [n for n in os.listdir(path) if n != LOCK_NAME and not n.startswith(PREFIX)]
            if foreign and not generations(path):
                raise UsageError(f"{path} is a folder with other things in it ({foreign[0]}); choose another --index")
            if generations(path) and not overwrite:
                raise IndexExistsError(
                    f"there is an index at {path} already; --overwrite replaces it, --index DIR makes another"
                )
            self._stack.enter_context(writer_lock(path))
            remove_leftovers(path)
            self._scratch = path / f"{PREFIX}{secrets.token_hex(6)}"
            self._scratch.mkdir()
        except BaseException as error:
            self.close()
            raise _explained(error, path) from error
        self._pending: list[_Pending] = []
        self.n_docs = 0

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was not committed and give the lock back."""
        if hasattr(self, "_scratch"):
            shutil.rmtree(self._scratch, ignore_errors=True)
        if self._made_folder and self.path.is_dir() and not generations(self.path):
            shutil.rmtree(self.path, ignore_errors=True)
        self._stack.close()

    def add(self, documents: Sequence[Document], vectors: SparseBatch) -> None:
        """Add documents with one row of vectors each. Raises LsrError if the counts differ."""
        if len(documents) != len(vectors):
            raise LsrError(f"{len(documents)} documents, but {len(vectors)} vectors")
        try:
            if not self._pending or self._pending[-1].full:
                self._pending.append(_Pending(self._scratch / f"segment-{len(self._pending)}"))
            self._pending[-1].append(documents, vectors)
        except OSError as error:
            raise _explained(error, self.path) from error
        self.n_docs += len(documents)

    def commit(self) -> Manifest:
        """Build what was added, make it the index's next generation, and return its manifest."""
        try:
            return self._commit()
        except OSError as error:
            raise _explained(error, self.path) from error

    def _commit(self) -> Manifest:
        self._refuse_duplicates()
        vocab_size = len(self._encoder.terms)
        all_rows = [pending.spool.rows() for pending in self._pending]
        weighting = self._encoder.corpus_weighting
        statistics: Mapping[str, float] = {}
        if weighting is not None:
            known = _statistics(all_rows, vocab_size)
            statistics = {"n_docs": known.n_docs, "mean_length": known.mean_length}
            all_rows = [_weigh(rows, vocab_size, known, weighting) for rows in all_rows]
        # An encoder may know its scale: one that depends on the data alone would differ between indexes.
        from lsr.indexer.build import choose_scale, segment_arrays

        scale = choose_scale(all_rows, final=weighting is not None)
        before = generations(self.path)
        generation = before[-1] + 1 if before else 1
        part_id = f"{generation:08d}-{secrets.token_hex(4)}"
        segments, n_clipped = [], 0
        self._progress.start("indexing", sum(p.spool.n_postings for p in self._pending), "posting")
        for number, (pending, rows) in enumerate(zip(self._pending, all_rows, strict=True)):
            arrays, clipped = segment_arrays(rows, scale, vocab_size, reorder=self._reorder, threads=self._threads)
            hashes = np.concatenate(pending.id_hashes)
            id_row = np.argsort(hashes, kind="stable").astype(np.uint32)
            arrays |= {"id_hash": hashes[id_row], "id_row": id_row}
            files = save_arrays(pending.folder, arrays) | {DOCUMENTS: pending.documents.close()}
            n_docs, n_postings = pending.documents.n_docs, pending.spool.n_postings
            pending.spool.delete()
            part = self._keep(Part("segments", f"{part_id}-{number}", files), pending.folder)
            segments.append(SegmentInfo(part, n_docs, n_postings))
            n_clipped += clipped
            self._progress.advance(n_postings)
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
        )
        write_manifest(self.path, manifest)
        self._pending = []
        remove_leftovers(self.path, keep=self._scratch)
        return manifest

    def _refuse_duplicates(self) -> None:
        if not self._pending:
            return
        hashes = np.concatenate([h for pending in self._pending for h in pending.id_hashes])
        unique, counts = np.unique(hashes, return_counts=True)
        if len(unique) < len(hashes):
            raise LsrError(f"{len(hashes) - len(unique)} doc_ids were added twice (hash {unique[counts > 1][0]:016x})")

    def _save_query_side(self, folder: Path) -> dict[str, FileInfo]:
        self._encoder.save_query_side(folder)
        return {path.name: checksum(path) for path in sorted(folder.iterdir())}

    def _save(self, kind: str, part_id: str, save: Any) -> Part:
        folder = self._scratch / kind
        folder.mkdir()
        return self._keep(Part(kind, part_id, save(folder)), folder)

    def _keep(self, part: Part, folder: Path) -> Part:
        """Move a finished folder to its place."""
        target = part.folder(self.path)
        target.parent.mkdir(exist_ok=True)
        sync_folder(folder)
        folder.rename(target)
        sync_folder(target.parent)
        return part


def _statistics(all_rows: list[Rows], vocab_size: int) -> Statistics:
    df = np.zeros(vocab_size, np.int64)
    n_docs, length = 0, 0.0
    for rows in all_rows:
        df += np.bincount(rows.term_ids, minlength=vocab_size)
        n_docs += len(rows.indptr) - 1
        length += float(rows.weights.sum(dtype=np.float64))
    return Statistics(n_docs, df, length / max(n_docs, 1))


def _weigh(rows: Rows, vocab_size: int, statistics: Statistics, weighting: Any) -> Rows:
    """Turn counts into weights, a stretch of rows at a time."""
    weights = np.empty(len(rows.weights), np.float32)
    step = 1 << 16
    for first in range(0, len(rows.indptr) - 1, step):
        indptr = rows.indptr[first : first + step + 1]
        span = slice(indptr[0], indptr[-1])
        counts = SparseBatch(indptr - indptr[0], rows.term_ids[span], rows.weights[span], vocab_size)
        weights[span] = weighting.weigh(counts, statistics).weights
    return Rows(rows.indptr, rows.term_ids, weights)


def _explained(error: BaseException, path: Path) -> BaseException:
    """Turn what the operating system says into an error that names the remedy."""
    if isinstance(error, OSError) and not isinstance(error, LsrError):
        return LsrError(f"can't write the index at {path}: {error.strerror or error}; nothing there was changed")
    return error


def remove_leftovers(index: Path, *, keep: Path | None = None) -> None:
    """Remove what no generation needs: older generations, and what a killed writer left."""
    found = generations(index)
    used = {part.folder(index) for part in read_manifest(index, found[-1]).parts} if found else set()
    for generation in found[:-1]:
        (index / f"manifest-{generation:08d}.json").unlink(missing_ok=True)
    for path in index.glob("manifest-*.tmp"):
        path.unlink(missing_ok=True)
    for path in index.glob(f"{PREFIX}*"):
        if path != keep:
            shutil.rmtree(path, ignore_errors=True)
    for kind in ("segments", "vocabulary", "encoder"):
        for path in (index / kind).glob("*"):
            if path not in used:
                shutil.rmtree(path, ignore_errors=True)
