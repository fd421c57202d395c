"""Segments whose weights need statistics of the corpus (BM25), computed again when those have changed.

Texts are not read again and documents not reordered: the counts that the weights were made from are kept beside the
postings, so that new impacts are put into the old places. What doesn't change is linked, not copied.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError, LsrError
from lsr.indexer.storage.arrays import save_arrays
from lsr.indexer.storage.files import CHUNK_BYTES, FileInfo, new_file
from lsr.indexer.storage.manifest import REMEDY
from lsr.indexer.storage.segment import Segment
from lsr.indexer.write.spill import Rows, Spool
from lsr.io.folder import FileAt, Folder
from lsr.types import SparseBatch


def stored_rows(segment: Segment) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """Return indptr, local term ids and impacts of a segment by doc_ord. Raises IndexDamagedError."""
    from lsr.kernels.build.forward import forward_rows

    segment.trust_all()
    indptr, term_ids, impacts, ordered = forward_rows(segment.postings, len(segment.terms))
    if not ordered:
        raise IndexDamagedError(f"{segment.folder}: a posting list is damaged; 'lsr check' says more; {REMEDY}")
    return indptr, term_ids, impacts


class Reweighed:
    """A segment that gets new weights, in a separate folder. live: by row."""

    def __init__(self, segment: Segment, live: npt.NDArray[np.bool_], folder: Folder) -> None:
        if segment.counts is None:
            raise LsrError(f"{segment.folder}: keeps no counts, so it can't be weighed again; index with --overwrite")
        self.segment = segment
        self._folder = folder
        self._live = live[segment.arrays["insertion"]]
        self._spool = Spool(folder)
        indptr, term_ids, _ = stored_rows(segment)
        rows = Rows(indptr, term_ids, segment.counts)  # type: ignore[arg-type]
        for documents, span in rows.stretches():
            start = indptr[documents.start : documents.stop + 1]
            ids = segment.terms[term_ids[span]].astype(np.int32)
            self._spool.append(SparseBatch(start - start[0], ids, segment.counts[span].astype(np.float32), 0))

    @cached_property
    def rows(self) -> Rows:
        """The counts, by doc_ord; the weights, once they were replaced."""
        return self._spool.rows()._replace(live=self._live)

    def replace_weights(self, pieces: Iterable[npt.NDArray[Any]]) -> None:
        """Put weights in the place of the counts."""
        self._spool.replace_weights(pieces)
        del self.rows

    def save(self, scale: float, vocab_size: int) -> tuple[Folder, dict[str, FileInfo]]:
        """Build the segment again; return the folder that holds it, and its files."""
        from lsr.indexer.write.invert import segment_arrays

        arrays, _ = segment_arrays(
            self.rows, scale, vocab_size,
            order=np.arange(self.segment.n_docs), reorder=False, threads=1, advance=lambda n: None,  # noqa: ARG005
        )  # fmt: skip
        arrays["insertion"] = self.segment.arrays["insertion"]
        del self.rows
        self._spool.delete()
        files = save_arrays(self._folder, arrays)
        for name, info in self.segment.info.part.files.items():
            if name not in files:
                link(self.segment.files / name, self._folder / name)
                files[name] = info
        return self._folder, files


def link(source: FileAt, target: FileAt) -> None:
    """Give an immutable file a second name; copy it where the file system can't."""
    try:
        source.link(target)
    except OSError:
        with source.open() as file, new_file(target) as copy:
            shutil.copyfileobj(file, copy, CHUNK_BYTES)
