"""Merging segments: the documents that are left, in the order in which they were added, in one new segment.

Nothing is encoded or decoded again: impacts come out of the inverted index as they are, texts are copied as Arrow
holds them. A merge is a generation like any other; searches go on in theirs meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.indexer.storage.arrays import merged_rows, save_arrays
from lsr.indexer.storage.dense_vectors import KIND as DENSE_KIND
from lsr.indexer.storage.dense_vectors import DensePending
from lsr.indexer.storage.files import DOCUMENTS, map_numbers
from lsr.indexer.storage.generations import hold_newest
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import Manifest, Part, SegmentInfo
from lsr.indexer.storage.segment import Segment
from lsr.indexer.update.merge_policy import all_of, tiered
from lsr.indexer.update.reweigh import stored_rows
from lsr.indexer.write.document_arrays import id_table
from lsr.indexer.write.segment_limits import DEFAULT_LIMITS, SegmentLimits
from lsr.indexer.write.transaction import Workplace, explained
from lsr.indexer.write.writer import now
from lsr.io.folder import Folder
from lsr.io.progress import NoProgress, Progress
from lsr.version import __version__

DENSE_ROWS = 1 << 14
"""Dense vectors copied at a time."""


def merge_index(
    path: str | Path,
    *,
    only_due: bool = False,
    reorder: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
    limits: SegmentLimits = DEFAULT_LIMITS,
    of_set: bool = False,
) -> tuple[Manifest, int]:
    """Merge segments of an index; return its manifest, and how many segments were merged.

    only_due: those that the tiered policy finds; default, all, and deleted documents are removed. limits: the largest
    size of a merged segment. of_set: the caller merges the set that it is a shard of. Raises IndexMissingError,
    IndexDamagedError, IndexLockedError if another writer is at it, LsrError if it can't be written.
    """
    path = Path(path)
    hold_newest(path)[1].release()  # where there is no index, nothing is to be made
    with Workplace.for_existing(path, of_set=of_set) as place, explained(path, place):
        n_merged = 0
        while True:
            with StoredIndex.open(path, follow=not of_set) as index:
                runs = (tiered if only_due else all_of)(index.manifest.segments, limits)
                if not runs:
                    return index.manifest, n_merged
                n_merged += sum(map(len, runs))
                merge_runs(place, index, runs, reorder=reorder, threads=threads, progress=progress or NoProgress())


def merge_runs(
    place: Workplace, index: StoredIndex, runs: Sequence[range], *, reorder: bool, threads: int, progress: Progress
) -> Manifest:
    """Make a generation in which each run of segments is one. runs: ascending, apart from each other."""
    progress.start("merging", sum(index.segments[i].info.n_live for run in runs for i in run), "document")
    segments: list[SegmentInfo] = []
    done = 0
    for run in runs:
        segments += index.manifest.segments[done : run.start]
        done = run.stop
        some = [index.segments[i] for i in run]
        if any(segment.info.n_live for segment in some):
            segments.append(
                _merge(place, some, len(index.vocabulary), reorder=reorder, threads=threads, advance=progress.advance)
            )
    manifest = replace(
        index.manifest,
        generation=place.generation,
        created=now(),
        library_version=__version__,
        segments=(*segments, *index.manifest.segments[done:]),
    )
    place.commit(manifest)
    return manifest


def _merge(
    place: Workplace,
    segments: Sequence[Segment],
    vocab_size: int,
    *,
    reorder: bool,
    threads: int,
    advance: Callable[[int], None],
) -> SegmentInfo:
    from lsr.indexer.storage.documents import DocumentStore, copy_documents
    from lsr.indexer.storage.fields import write_fields
    from lsr.indexer.write.invert import inverted

    folder = place.folder(f"merged-{segments[0].info.part.id}")
    info, checksums = copy_documents(
        folder / DOCUMENTS, ((segment.documents, segment.live_rows) for segment in segments)
    )
    rows = _Joined(folder, segments)
    arrays = inverted(
        rows.indptr, rows.term_ids, rows.impacts, vocab_size,
        counts=rows.counts, reorder=reorder, threads=threads, advance=advance,
    )  # fmt: skip
    n_docs, n_postings = len(rows.indptr) - 1, len(rows.term_ids)
    rows.delete()
    carried = merged_rows((segment.arrays_by_row, segment.live_rows) for segment in segments)
    files = {DOCUMENTS: info, **save_arrays(folder, arrays | checksums | _id_table(segments) | carried)}
    if any(segment.fields is not None for segment in segments):
        files |= write_fields(folder, DocumentStore(folder / DOCUMENTS, n_docs))
    part, dense = place.keep("segments", folder, files), _merge_dense(place, segments)
    return SegmentInfo(part, n_docs, n_postings, dense=dense)


def _merge_dense(place: Workplace, segments: Sequence[Segment]) -> Part | None:
    """Write the dense vectors of the documents that are left, where there are any."""
    matrices = [(segment.dense, segment.live_rows) for segment in segments if segment.dense is not None]
    if not matrices:
        return None
    merged = DensePending(place.folder(f"dense-{segments[0].info.part.id}"), matrices[0][0].shape[1])
    for matrix, live in matrices:
        for first in range(0, len(matrix), DENSE_ROWS):
            merged.append_halves(matrix[first : first + DENSE_ROWS][live[first : first + DENSE_ROWS]])
    return place.keep(DENSE_KIND, merged.folder, merged.finish())


def _id_table(segments: Sequence[Segment]) -> dict[str, npt.NDArray[Any]]:
    """Return `id_hash` and `id_row` of the documents that are left."""
    return id_table(np.concatenate([segment.hashes_by_row[segment.live_rows] for segment in segments]))


class _Joined:
    """Rows of several segments, one after another in the order in which they were added, in files of a folder.

    indptr: int64 (n + 1); term_ids: int32, of the index; impacts: uint8; counts: uint32, or None.
    """

    def __init__(self, folder: Folder, segments: Sequence[Segment]) -> None:
        keep_counts = all(segment.counts is not None for segment in segments)
        self._paths = {name: folder / f"{name}.spool" for name in ("term_ids", "impacts", "counts")}
        lengths = [np.zeros(1, np.int64)]
        with (
            self._paths["term_ids"].create() as term_ids,
            self._paths["impacts"].create() as impacts,
            self._paths["counts"].create() as counts,
        ):
            files = {"term_ids": term_ids, "impacts": impacts, "counts": counts}
            for segment in segments:
                for name, values in _rows_in_order(segment, lengths, keep_counts=keep_counts):
                    files[name].write(np.ascontiguousarray(values).data)
        self.indptr = np.cumsum(np.concatenate(lengths))
        self.term_ids = self._map("term_ids", np.int32)
        self.impacts = self._map("impacts", np.uint8)
        self.counts = self._map("counts", np.uint32) if keep_counts else None

    def _map(self, name: str, dtype: Any) -> npt.NDArray[Any]:
        if self.indptr[-1] == 0:
            return np.empty(0, dtype)
        return map_numbers(self._paths[name], dtype)

    def delete(self) -> None:
        """Remove the files."""
        for path in self._paths.values():
            path.remove()


def _rows_in_order(
    segment: Segment, lengths: list[npt.NDArray[np.int64]], *, keep_counts: bool
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield term ids, impacts and counts of a segment's rows that are left; append how long each is."""
    from lsr.kernels.build.forward import take_rows

    indptr, local, impacts = stored_rows(segment)
    doc_ords = np.empty(segment.n_docs, np.int64)
    doc_ords[segment.arrays["insertion"]] = np.arange(segment.n_docs)
    order = doc_ords[segment.live_rows]
    lengths.append(np.diff(indptr)[order])
    yield "term_ids", segment.terms[take_rows(order, indptr, local)].astype(np.int32)
    yield "impacts", take_rows(order, indptr, impacts)
    if keep_counts:
        yield "counts", take_rows(order, indptr, segment.counts).astype(np.uint32)
