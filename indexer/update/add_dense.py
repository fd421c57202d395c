"""Dense vectors for an existing index: a new generation with a matrix beside each segment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lsr.encoders.dense.base import DenseEncoder, dense_description
from lsr.encoders.runtime import with_runtime
from lsr.encoders.threads import limited_threads
from lsr.errors import IndexExistsError, LsrError
from lsr.indexer.encode.document_encoders import Legs
from lsr.indexer.encode.resume import Staging
from lsr.indexer.shards.manifest import refuse_set
from lsr.indexer.storage.dense_vectors import KIND, DensePending, Halves
from lsr.indexer.storage.generations import hold_newest
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import Manifest, SegmentInfo
from lsr.indexer.write.transaction import Workplace, explained
from lsr.indexer.write.writer import now
from lsr.io.progress import Progress
from lsr.types import Document
from lsr.version import __version__


def add_dense(
    path: str | Path,
    encoder: DenseEncoder,
    *,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Encode the documents of an index, and commit their dense vectors as its next generation.

    Sparse vectors and texts stay what they are. After an interruption the same call resumes (`Staging`).
    overwrite: replace dense vectors that are there. threads: that encode (default: all cores). Raises
    IndexMissingError, IndexExistsError if there are dense vectors and not `overwrite`, IndexLockedError, and what the
    encoder raises.
    """
    path = Path(path)
    refuse_set(path, "dense vectors are added to")
    hold_newest(path)[1].release()
    with Workplace.for_existing(path) as place, explained(path, place), StoredIndex.open(path) as index:
        _refuse_existing(index, overwrite)
        legs = Legs(None, encoder)
        staging = Staging(
            path, legs, settings={}, with_documents=False, n_documents=index.n_positions, progress=progress
        )
        with limited_threads(threads), staging:
            shards = staging.encode(lambda: _documents(index))
            return _commit(index, encoder, staging, shards, place)


def _refuse_existing(index: StoredIndex, overwrite: bool) -> None:
    if len(index) == 0:
        raise LsrError(f"the index at {index.path} holds no document to encode")
    if index.manifest.dense is not None and not overwrite:
        raise IndexExistsError(
            f"the index at {index.path} has dense vectors by {index.manifest.dense.get('name')} already; --overwrite "
            "replaces them"
        )


def _documents(index: StoredIndex) -> Iterator[Document]:
    for segment in index.segments:
        for row in range(segment.n_docs):
            yield segment.document(row)


def _next(rows: Iterator[Halves], staging: Staging) -> Halves:
    found = next(rows, None)
    if found is None:
        raise LsrError(f"{staging.folder} holds fewer vectors than it says: remove it and encode again")
    return found


def _commit(
    index: StoredIndex, encoder: DenseEncoder, staging: Staging, shards: tuple[Path, ...], place: Workplace
) -> Manifest:
    rows = (dense for shard in shards for _, _, dense in staging.read(shard) if dense is not None)
    waiting = _next(rows, staging)
    segments: list[SegmentInfo] = []
    for number, segment in enumerate(index.segments):
        pending = DensePending(place.folder(f"dense-{number}"), encoder.dimension)
        due = segment.n_docs
        while due:
            if len(waiting) == 0:
                waiting = _next(rows, staging)
                continue
            pending.append_halves(waiting[:due])
            taken = min(due, len(waiting))
            waiting, due = waiting[taken:], due - taken
        segments.append(replace(segment.info, dense=place.keep(KIND, pending.folder, pending.finish())))
    manifest = replace(
        index.manifest,
        generation=place.generation,
        created=now(),
        library_version=__version__,
        segments=tuple(segments),
        dense=with_runtime(dense_description(encoder), encoder),
    )
    place.commit(manifest)
    return manifest
