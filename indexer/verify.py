"""Reads all of an index and verifies it: checksums first, then that the arrays mean what they should."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.files import checksum
from lsr.indexer.index import Index
from lsr.indexer.manifest import Manifest, read_manifest
from lsr.indexer.progress import Progress, Silence
from lsr.indexer.segment import STORED_K, Segment, hash_ids
from lsr.kernels import layout
from lsr.kernels.forward import forward_rows
from lsr.kernels.thresholds import kth_impacts


def verify(path: Path, progress: Progress | None = None) -> tuple[Manifest, list[str]]:
    """Return the manifest, and what is wrong, a line each. Raises what opening raises."""
    listener = progress or Silence()
    manifest = read_manifest(path)
    problems = []
    listener.start("checksums", manifest.size_bytes, "B")
    for part in manifest.parts:
        for name, expected in part.files.items():
            file = part.folder(path) / name
            try:
                found = checksum(file)
            except OSError as error:
                problems.append(f"{file}: can't be read ({error})")
                continue
            if found != expected:
                problems.append(f"{file}: its content is not what was written (size or checksum differs)")
            listener.advance(expected.size_bytes)
    if problems:
        return manifest, problems
    index = Index.open(path)
    listener.start("contents", manifest.n_docs, "document")
    checks = [index.vocabulary.check]
    checks += [partial(_verify_segment, segment, len(index.vocabulary)) for segment in index.segments]
    for check in checks:
        try:
            check()
        except IndexDamagedError as error:
            problems.append(str(error))
    return manifest, problems


def _verify_segment(segment: Segment, vocab_size: int) -> None:
    a, postings = segment.arrays, segment.postings

    def require(condition: Any, what: str) -> None:
        if not condition:
            raise IndexDamagedError(f"{segment.folder}: {what}")

    rows = a["row"].astype(np.int64)
    n_frequent = len(a["frequent_start"]) - 1
    require(np.all(np.diff(segment.terms.astype(np.int64)) > 0), "its terms are not ascending")
    require(len(segment.terms) == 0 or segment.terms[-1] < vocab_size, "a term is outside the vocabulary")
    require(np.array_equal(np.sort(rows[rows >= 0]), np.arange(n_frequent)), "rows of frequent terms are not 0, 1, …")
    require(
        np.array_equal(np.sort(-1 - rows[rows < 0]), np.arange(len(rows) - n_frequent)), "ranks of rare terms are wrong"
    )
    for name in ("frequent_start", "rare_start"):
        require(a[name][0] == 0 and np.all(np.diff(a[name]) >= 0), f"{name} is not ascending from 0")
    runs = a["run_start"].astype(np.int64)
    if n_frequent:
        require(np.all(runs[:, 0] == 0) and np.all(np.diff(runs, axis=1) >= 0), "run_start is not ascending from 0")
        require(np.array_equal(runs[:, -1], np.diff(a["frequent_start"])), "run_start does not end where its term ends")
    require(np.array_equal(np.sort(a["insertion"]), np.arange(segment.n_docs)), "insertion is not a permutation")
    require(len(a["rare"]) == 0 or (a["rare"] >> 8).max() < segment.n_docs, "a posting is of no document")
    _verify_postings(segment, postings, require)
    segment.documents.check()
    ids: list[str] = [document.doc_id for document in segment.documents]
    hashes = hash_ids(ids)
    order: npt.NDArray[Any] = np.argsort(hashes, kind="stable")
    require(np.array_equal(hashes[order], segment._id_hash), "id_hash does not fit the documents")
    require(np.array_equal(order, segment._id_row), "id_row does not fit the documents")


def _verify_postings(segment: Segment, postings: Any, require: Any) -> None:
    """Turn the index back into forward rows, invert them anew, and compare every array."""
    indptr, term_ids, impacts, ordered = forward_rows(postings, len(segment.terms))
    require(ordered, "a posting list is not ascending, or a posting is outside its superblock")
    require(len(impacts) == 0 or impacts.min() > 0, "an impact is 0")
    again = layout.build(indptr, term_ids, impacts, len(segment.terms), np.arange(segment.n_docs))
    for name in again._fields:
        if name != "insertion":
            require(np.array_equal(getattr(again, name), segment.arrays[name]), f"{name} does not fit the postings")
    stored = np.array(STORED_K, np.int64)
    found = kth_impacts(indptr, term_ids, impacts, len(segment.terms), stored)
    require(np.array_equal(found, segment.kth_impact), "kth_impact does not fit the postings")
