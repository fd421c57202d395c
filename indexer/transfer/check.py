"""The check of a whole index: checksums first, then whether the arrays fit each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import EncoderError, IndexDamagedError, IndexMissingError
from lsr.indexer.encode.open_encoders import open_query_encoder_of
from lsr.indexer.integrity.damage import lack_of
from lsr.indexer.shards.manifest import is_set, read_set, set_generations
from lsr.indexer.storage.checks_on_read import small_arrays_fault, term_checksums, term_fault
from lsr.indexer.storage.deletions import pack, unpack
from lsr.indexer.storage.dense_vectors import check_finite
from lsr.indexer.storage.files import checksum
from lsr.indexer.storage.generations import hold_newest, open_folder
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import Manifest, read_manifest
from lsr.indexer.storage.segment import Segment, hash_ids
from lsr.io.folder import Folder
from lsr.io.progress import NoProgress, Progress
from lsr.kernels.build import layout
from lsr.kernels.build.forward import forward_rows
from lsr.kernels.build.kth_impacts import kth_impacts
from lsr.kernels.geometry import STORED_K

ANY_SIZE = 1 << 32
"""Terms of a vocabulary that can't be read: as many as term ids can name."""


def verify(path: Path, progress: Progress | None = None) -> tuple[Manifest, list[str]]:
    """Return the manifest of the last generation, and what is wrong with it, a line each.

    Raises IndexMissingError, or IndexDamagedError for a manifest that can't be read.
    """
    listener = progress or NoProgress()
    if is_set(path):
        return _verify_set(path, listener)
    folder = open_folder(path)
    generation, hold = hold_newest(folder)
    try:
        return _verify_index(folder, path, generation, listener)
    finally:
        hold.release()


def _verify_index(
    folder: Folder, path: Path, generation: int, listener: Progress, *, of_set: bool = False
) -> tuple[Manifest, list[str]]:
    manifest = read_manifest(folder, generation)
    problems = _wrong_files(folder, manifest, listener)
    return manifest, problems or _wrong_contents(path, generation, listener, follow=not of_set)


def _verify_set(path: Path, listener: Progress) -> tuple[Manifest, list[str]]:
    """Verify each shard in the generation that the set names, and that together they are one index."""
    folder = open_folder(path)
    content = read_set(folder, set_generations(folder)[-1])
    problems: list[str] = []
    manifests = []
    for info in content.shards:
        shard = path / info.name
        try:
            manifest, found = _verify_index(
                open_folder(shard, follow=False), shard, info.generation, listener, of_set=True
            )
        except (IndexDamagedError, IndexMissingError) as error:
            problems.append(str(error))
            continue
        manifests.append(manifest)
        problems += found
    if not manifests:
        raise IndexDamagedError(f"{path}: none of its shards can be read: {problems[0]}")
    if not problems:
        try:
            with StoredIndex.open(path, generation=content.generation) as index:
                _verify_together(index)
                return index.manifest, []
        except IndexDamagedError as error:
            problems.append(str(error))
    return replace(manifests[0], segments=tuple(info for one in manifests for info in one.segments)), problems


def _verify_together(index: StoredIndex) -> None:
    """Raise IndexDamagedError unless shards have different documents, different positions, and one vocabulary."""
    _verify_ids(index.path, [segment.hashes_by_row[segment.live_rows] for segment in index.segments])
    if int(index.places.filled.sum()) != index.places.starts[-1]:
        raise IndexDamagedError(f"{index.path}: two documents have the same position")
    for shard in index.shards:
        if any(a != b for a, b in zip(shard.vocabulary, index.vocabulary, strict=False)):
            raise IndexDamagedError(f"{shard.path}: its vocabulary numbers terms otherwise than that of its set")


def _wrong_files(index: Folder, manifest: Manifest, listener: Progress) -> list[str]:
    """Compare sizes and checksums."""
    problems = []
    listener.start("checksums", manifest.size_bytes, "B")
    for part in manifest.parts:
        try:
            folder = part.open(index) if part.files else index
        except IndexDamagedError as error:
            problems.append(str(error))
            continue
        for name, expected in part.files.items():
            file = folder / name
            try:
                if checksum(file, listener.advance) != expected:
                    problems.append(f"{file}: its content is not what was written (size or checksum differs)")
            except OSError as error:
                if lacking := lack_of(error, file):
                    raise lacking from error
                problems.append(f"{file}: can't be read ({error.strerror or error})")
    return problems


def _wrong_contents(path: Path, generation: int, listener: Progress, *, follow: bool) -> list[str]:
    """Compare the arrays with each other."""
    try:
        index = StoredIndex.open(path, generation=generation, follow=follow)
    except IndexDamagedError as error:
        return [str(error)]
    problems = []
    listener.start("contents", len(index), "document")
    hashes: list[npt.NDArray[np.uint64]] = []
    checks: list[Callable[[], None]] = []
    vocab_size = ANY_SIZE
    try:
        vocab_size = len(index.vocabulary)
        checks += [index.vocabulary.check, partial(_verify_query_side, index)]
    except IndexDamagedError as error:
        problems.append(str(error))
    checks += [partial(_verify_segment, segment, vocab_size, hashes, listener) for segment in index.segments]
    checks += [
        partial(check_finite, segment.dense, segment.info.dense.folder(path))
        for segment in index.segments
        if segment.dense is not None and segment.info.dense is not None
    ]
    checks.append(partial(_verify_ids, path, hashes))
    for check in checks:
        try:
            check()
        except (IndexDamagedError, EncoderError) as error:
            problems.append(str(error))
    return problems


def _verify_query_side(index: StoredIndex) -> None:
    """Open the encoder of queries, unless it is a model, which is kept elsewhere."""
    if index.manifest.encoder.get("query_side") != "model":
        open_query_encoder_of(index)


def _verify_ids(path: Path, hashes: list[npt.NDArray[np.uint64]]) -> None:
    """Look for a doc_id that is there twice. hashes: of those that are not deleted, a segment each."""
    every = np.concatenate([np.empty(0, np.uint64), *hashes])
    n_twice = len(every) - len(np.unique(every))
    if n_twice:
        raise IndexDamagedError(f"{path}: {n_twice} doc_ids are there twice")


def _verify_segment(
    segment: Segment, vocab_size: int, hashes: list[npt.NDArray[np.uint64]], listener: Progress
) -> None:
    a = segment.arrays

    def require(condition: Any, what: str) -> None:
        if not condition:
            raise IndexDamagedError(f"{segment.folder}: {what}")

    fault = small_arrays_fault(a, segment.terms)
    require(fault is None, str(fault))
    require(len(segment.terms) == 0 or segment.terms[-1] < vocab_size, "a term is outside the vocabulary")
    for term in range(len(segment.terms)):
        fault = term_fault(a, term)
        require(fault is None, str(fault))
    require(np.array_equal(np.sort(a["insertion"]), np.arange(segment.n_docs)), "insertion is not a permutation")
    _verify_postings(segment, require)
    parts = []
    for doc_ids in segment.documents.all_doc_ids():
        parts.append(hash_ids(doc_ids))
        listener.advance(len(doc_ids))
    found = np.concatenate(parts) if parts else np.empty(0, np.uint64)
    order: npt.NDArray[Any] = np.argsort(found, kind="stable")
    require(np.array_equal(found[order], segment.id_hash), "id_hash does not fit the documents")
    require(np.array_equal(order, segment.id_row), "id_row does not fit the documents")
    for name, checksums in segment.documents.all_checksums().items():
        require(np.array_equal(checksums, segment.document_checksums[name]), f"{name} does not fit the documents")
    require(segment.live_rows.sum() == segment.info.n_live, "its deletions are not as many as the manifest says")
    if segment.live is not None:
        require(
            np.array_equal(pack(unpack(segment.live, segment.n_docs)), segment.live), "a deletion is of no document"
        )
    hashes.append(found[segment.live_rows])


def _verify_postings(segment: Segment, require: Callable[[Any, str], None]) -> None:
    """Turn the index back into forward rows, invert them again, and compare every array."""
    indptr, term_ids, impacts, ordered = forward_rows(segment.postings, len(segment.terms))
    require(ordered, "a posting list is not ascending, or a posting is outside its superblock")
    require(len(impacts) == 0 or impacts.min() > 0, "an impact is 0")
    require(segment.counts is None or np.all(segment.counts > 0), "a count is 0")
    again = layout.build(indptr, term_ids, impacts, len(segment.terms), np.arange(segment.n_docs))
    for name in again._fields:
        if name != "insertion":
            require(np.array_equal(getattr(again, name), segment.arrays[name]), f"{name} does not fit the postings")
    stored = np.array(STORED_K, np.int64)
    found = kth_impacts(indptr, term_ids, impacts, len(segment.terms), stored)
    require(np.array_equal(found, segment.kth_impact), "kth_impact does not fit the postings")
    require(np.array_equal(term_checksums(segment.arrays), segment.term_crc), "term_crc does not fit the postings")
