"""Dense vectors beside the segments: a float16 matrix each, its rows in the order in which documents were added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import EncoderError, IndexDamagedError, LsrError
from lsr.indexer.encode.matrix import MatrixWriter, open_matrix
from lsr.indexer.integrity.damage import REMEDY
from lsr.indexer.storage.files import FileInfo, checksum
from lsr.indexer.storage.manifest import Part
from lsr.io.folder import Folder
from lsr.types import Document

KIND, FILE = "dense", "vectors.npy"
"""The kind of part, and the only file of it."""

_CHECKED_BYTES = 1 << 24

Halves = npt.NDArray[np.float16]
"""float16, (n_docs, dimension); documents of nothing but white space have zeros."""


@dataclass(frozen=True, slots=True)
class DenseVectorsOfIndex:
    """The dense vectors of a generation.

    description: of their encoder, with `dimension`. matrices: one a segment, mapped from the disk.
    """

    description: Mapping[str, Any]
    matrices: tuple[Halves, ...]

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""
        return int(self.description["dimension"])


def as_halves(vectors: npt.NDArray[np.floating], documents: Sequence[Document]) -> Halves:
    """Return vectors as float16. Raises EncoderError, naming the document, for NaN and what float16 doesn't hold."""
    with np.errstate(over="ignore"):
        halves = vectors.astype(np.float16)
    finite = np.isfinite(halves).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        name = f"document {documents[row].doc_id!r}: its dense vector holds"
        if not np.isfinite(vectors[row]).all():
            raise EncoderError(f"{name} NaN or infinity; the model, or the file that it comes from, is broken")
        raise EncoderError(
            f"{name} {np.abs(vectors[row]).max():.4g}, beyond what float16 holds ({np.finfo(np.float16).max}): "
            "normalise the vectors"
        )
    return halves


class DensePending:
    """The dense vectors of a segment while documents are being collected, in a separate folder."""

    def __init__(self, folder: Folder, dimension: int) -> None:
        self.folder = folder
        self._dimension = dimension
        self._matrix = MatrixWriter(folder / FILE, dimension)

    def append(self, vectors: npt.NDArray[np.floating], documents: Sequence[Document]) -> None:
        """Add a row a document. Raises LsrError for another shape, EncoderError for what isn't a number."""
        if vectors.shape != (len(documents), self._dimension):
            raise LsrError(
                f"{len(documents)} documents, but dense vectors of shape {vectors.shape}: one row each of "
                f"{self._dimension} numbers is due, as the index's others have"
            )
        self.append_halves(as_halves(vectors, documents))

    def append_halves(self, vectors: Halves) -> None:
        """Add rows that `as_halves` gave. Raises LsrError for another dimension."""
        self._matrix.append(vectors)

    def finish(self) -> dict[str, FileInfo]:
        """Write and sync the matrix; return what the manifest says of it."""
        self._matrix.close()
        return {FILE: checksum(self.folder / FILE)}

    def written(self) -> Halves:
        """Return the rows of a matrix to which no more may come."""
        self._matrix.close()
        return open_matrix(self.folder / FILE)

    def abandon(self) -> None:
        """Close a matrix that is given up."""
        self._matrix.abandon()


def open_dense(index: Folder, part: Part, n_docs: int) -> Halves:
    """Map a segment's dense vectors. Raises IndexDamagedError unless there is a row a document."""
    part.check_sizes(index, expected=[FILE])
    path = part.open(index) / FILE
    matrix = open_matrix(path)
    if len(matrix) != n_docs:
        raise IndexDamagedError(f"{path}: {len(matrix)} rows, but the segment has {n_docs} documents; {REMEDY}")
    return matrix


def check_finite(matrix: Halves, where: Path) -> None:
    """Read all of a matrix. Raises IndexDamagedError naming the first row that isn't made of numbers."""
    step = max(1, _CHECKED_BYTES // max(1, matrix.shape[1] * matrix.itemsize))
    for first in range(0, len(matrix), step):
        finite = np.isfinite(matrix[first : first + step]).all(axis=1)
        if not finite.all():
            row = first + int(np.argmin(finite))
            raise IndexDamagedError(f"{where / FILE}: row {row} holds what is not a number; {REMEDY}")
