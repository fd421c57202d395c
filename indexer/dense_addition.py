"""Dense vectors for an index that stands already: a new generation with the same segments and a matrix beside each."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import lsr
from lsr.encoders.dense_base import DenseEncoder, dense_description
from lsr.errors import IndexExistsError, LsrError
from lsr.indexer.dense import KIND, DensePending
from lsr.indexer.encode.legs import Legs
from lsr.indexer.encode.staging import Say, Staging
from lsr.indexer.generations import SCRATCH_PREFIX, hold_newest, remove_leftovers
from lsr.indexer.index import Index
from lsr.indexer.lock import writer_lock
from lsr.indexer.manifest import Manifest, Part, SegmentInfo, write_manifest
from lsr.indexer.progress import Progress
from lsr.indexer.writer import explained, keep_part
from lsr.types import Document


def add_dense(
    path: str | Path,
    encoder: DenseEncoder,
    *,
    overwrite: bool = False,
    say: Say = lambda message: None,  # noqa: ARG005
    progress: Progress | None = None,
) -> Manifest:
    """Encode the documents of an index, and commit their dense vectors as its next generation.

    Sparse vectors and texts stay what they are. Interrupted, the same call goes on where it was (`Staging`).
    overwrite: replace dense vectors that are there. Raises IndexMissingError, IndexExistsError if there are dense
    vectors and not `overwrite`, IndexLockedError, and what the encoder raises.
    """
    path = Path(path)
    hold_newest(path)[1].release()
    with explained(path), writer_lock(path), ExitStack() as stack:
        stack.callback(remove_leftovers, path)
        remove_leftovers(path)
        with Index.open(path) as index:
            _refuse_existing(index, overwrite)
            legs = Legs(None, encoder)
            staging = Staging(
                path, legs, settings={}, say=say, with_documents=False, n_documents=len(index), progress=progress
            )
            with staging:
                shards = staging.encode(lambda: _documents(index))
                scratch = path / f"{SCRATCH_PREFIX}{secrets.token_hex(6)}"
                scratch.mkdir()
                stack.callback(shutil.rmtree, scratch, ignore_errors=True)
                return _commit(index, encoder, staging, shards, scratch)


def _refuse_existing(index: Index, overwrite: bool) -> None:
    if len(index) == 0:
        raise LsrError(f"the index at {index.path} holds no document to encode")
    if index.manifest.dense is not None and not overwrite:
        raise IndexExistsError(
            f"the index at {index.path} has dense vectors by {index.manifest.dense.get('name')} already; --overwrite "
            "replaces them"
        )


def _documents(index: Index) -> Iterator[Document]:
    for segment in index.segments:
        for row in range(segment.n_docs):
            yield segment.document(row)


def _commit(index: Index, encoder: DenseEncoder, staging: Staging, shards: tuple[Path, ...], scratch: Path) -> Manifest:
    old = index.manifest
    generation = old.generation + 1
    part_id = f"{generation:08d}-{secrets.token_hex(4)}"
    rows = (dense for shard in shards for _, _, dense in staging.read(shard) if dense is not None)
    waiting = next(rows)
    segments: list[SegmentInfo] = []
    for number, segment in enumerate(index.segments):
        pending = DensePending(scratch / f"segment-{number}", encoder.dimension)
        due = segment.n_docs
        while due:
            if len(waiting) == 0:
                waiting = next(rows)
                continue
            pending.append_halves(waiting[:due])
            taken = min(due, len(waiting))
            waiting, due = waiting[taken:], due - taken
        part = Part(KIND, f"{part_id}-{number}", pending.finish())
        segments.append(replace(segment.info, dense=keep_part(index.path, part, pending.folder)))
    manifest = replace(
        old,
        generation=generation,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        library_version=lsr.__version__,
        segments=tuple(segments),
        dense=dict(dense_description(encoder)),
    )
    write_manifest(index.path, manifest)
    return manifest
