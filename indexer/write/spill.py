"""Vectors of a future segment, kept on disk as they come, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.indexer.storage.files import map_numbers
from lsr.io.folder import Folder
from lsr.types import SparseBatch

STRETCH = 1 << 22
"""Weights worked on at a time."""


class Rows(NamedTuple):
    """Spooled rows, CSR. indptr: int64 (n + 1); term_ids: int32; weights: float32; the last two mapped.

    live: bool (n), False for rows that are stored but no longer there; None where all are.
    """

    indptr: npt.NDArray[np.int64]
    term_ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    live: npt.NDArray[np.bool_] | None = None

    @property
    def n_live(self) -> int:
        """Rows that are there."""
        return len(self.indptr) - 1 if self.live is None else int(self.live.sum())

    def stretches(self) -> Iterator[tuple[slice, slice]]:
        """Yield consecutive rows, and their weights, some STRETCH weights at a time (or one longer row)."""
        first, n_rows = 0, len(self.indptr) - 1
        while first < n_rows:
            last = int(np.searchsorted(self.indptr, self.indptr[first] + STRETCH, side="right")) - 1
            last = max(first + 1, min(last, n_rows))
            yield slice(first, last), slice(int(self.indptr[first]), int(self.indptr[last]))
            first = last

    def live_stretches(self) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
        """Yield term ids and weights of the rows that are there, some STRETCH weights at a time."""
        for documents, span in self.stretches():
            term_ids, weights = self.term_ids[span], self.weights[span]
            if self.live is not None:
                kept = np.repeat(self.live[documents], np.diff(self.indptr[documents.start : documents.stop + 1]))
                term_ids, weights = term_ids[kept], weights[kept]
            yield term_ids, weights


class Spool:
    """Appends rows to two files of a folder."""

    def __init__(self, folder: Folder) -> None:
        self._paths = [folder / "term_ids.spool", folder / "weights.spool"]
        self._files = [path.create() for path in self._paths]
        self._counts = folder / "counts.spool"
        self._lengths: list[npt.NDArray[np.int64]] = []
        self.n_postings = 0

    def append(self, vectors: SparseBatch) -> None:
        """Add rows after those already there."""
        self._files[0].write(np.ascontiguousarray(vectors.term_ids, np.int32).data)
        self._files[1].write(np.ascontiguousarray(vectors.weights, np.float32).data)
        self._lengths.append(np.diff(vectors.indptr))
        self.n_postings += vectors.nnz

    def rows(self) -> Rows:
        """Return all rows."""
        for file in self._files:
            file.flush()
        indptr = np.zeros(sum(map(len, self._lengths)) + 1, np.int64)
        if self._lengths:
            np.cumsum(np.concatenate(self._lengths), out=indptr[1:])
        if self.n_postings == 0:
            return Rows(indptr, np.empty(0, np.int32), np.empty(0, np.float32))
        return Rows(
            indptr,
            map_numbers(self._paths[0], np.int32),
            map_numbers(self._paths[1], np.float32),
        )

    def replace_weights(self, pieces: Iterable[npt.NDArray[np.float32]]) -> None:
        """Put other weights in the place of those there, for all rows, one piece after another."""
        # Written to a file, not into the mapped one: a full disk is an error here, and a dead process there.
        path = self._paths[1].beside("weights.new")
        with path.create() as file:
            for piece in pieces:
                file.write(np.ascontiguousarray(piece, np.float32).data)
        self._paths[1].rename(self._counts.name)
        path.rename(self._paths[1].name)

    def counts(self) -> npt.NDArray[np.float32] | None:
        """Return the weights that were replaced; None if none were."""
        if not self._counts.folder.has_file(self._counts.name):
            return None
        if self.n_postings == 0:
            return np.empty(0, np.float32)
        return map_numbers(self._counts, np.float32)

    def close(self) -> None:
        """Close the files; what is written no longer matters."""
        for file in self._files:
            file.detach().close()  # type: ignore[attr-defined]

    def delete(self) -> None:
        """Close and remove the files."""
        self.close()
        for path in (*self._paths, self._counts):
            path.remove(missing_ok=True)
