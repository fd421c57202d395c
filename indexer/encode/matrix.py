"""Dense vectors as one float16 matrix, written row after row and opened by mmap."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError, LsrError
from lsr.indexer.integrity.damage import lack_of
from lsr.indexer.storage.files import arrow_source, map_array
from lsr.io.folder import FileAt, file_at


class MatrixWriter:
    """Writes a `.npy` of float16, (n_rows, dimension), that grows by rows; whole on the disk or not there.

    A context manager: leaving it by an exception leaves no file.
    """

    def __init__(self, path: Path | FileAt, dimension: int) -> None:
        self._path = file_at(path)
        self._temporary = self._path.beside(f"{self._path.name}.tmp")
        self._dimension = dimension
        self._n_rows = 0
        self._file = self._temporary.create(replace=True)
        self._write_header()

    def append(self, vectors: npt.NDArray[np.floating]) -> None:
        """Add rows, (n, dimension), after those already there."""
        if vectors.ndim != 2 or vectors.shape[1] != self._dimension:
            raise LsrError(f"{self._path}: vectors have shape {vectors.shape}, but {self._dimension} columns are due")
        self._file.write(np.ascontiguousarray(vectors, np.float16).data)
        self._n_rows += len(vectors)

    def __enter__(self) -> MatrixWriter:
        """Return the writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an exception, remove what was written."""
        if kind is None:
            self.close()
        else:
            self.abandon()

    def abandon(self) -> None:
        """Remove what was written."""
        with suppress(OSError):  # a full disk doesn't take the rest of the buffer
            self._file.close()
        self._temporary.remove(missing_ok=True)

    def close(self) -> None:
        """Write how many rows there are, sync and rename."""
        with self._file:
            self._file.seek(0)
            self._write_header()
            self._file.flush()
            os.fsync(self._file.fileno())
        self._temporary.rename(self._path.name)
        self._path.folder.sync()

    def _write_header(self) -> None:
        # numpy leaves room in a header for the first axis to grow, so that it can be written again in place.
        shape = (self._n_rows, self._dimension)
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": shape}
        )


def open_matrix(path: Path | FileAt) -> npt.NDArray[np.float16]:
    """Open a matrix of vectors by mmap, read-only. Raises IndexDamagedError for a missing, cut or foreign file."""
    matrix: npt.NDArray[np.float16] = map_array(path, np.float16, 2)
    return matrix


def matrix_of_shards(shards: Sequence[Path], path: Path) -> None:
    """Write the dense vectors of shards, in their order, as one matrix. Raises LsrError for a shard without them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: MatrixWriter | None = None
    try:
        for shard in shards:
            try:
                column = pq.read_table(arrow_source(shard), columns=["vector"]).column("vector").combine_chunks()
                rows = column.flatten().to_numpy().reshape(len(column), -1)
                writer = writer or MatrixWriter(path, rows.shape[1])
                writer.append(rows)
            except (OSError, pa.ArrowException, LookupError, ValueError, TypeError, AttributeError) as error:
                if lacking := lack_of(error, shard):
                    raise lacking from error
                raise LsrError(f"{shard} holds no dense vectors ({error})") from error
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise
    if writer is None:
        raise IndexDamagedError(f"{path}: there are no shards to make a matrix of")
    writer.close()
