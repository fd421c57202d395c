"""Files of ready vectors in all formats that are read: Parquet, JSON lines, and the Common Index File Format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from lsr.indexer.transfer.read_ciff import SUFFIX, read_ciff
from lsr.indexer.transfer.read_vectors import read_vectors
from lsr.indexer.transfer.vector_lines import is_vector_lines, read_vector_lines
from lsr.types import Document, SparseBatch


def read_vector_file(
    path: Path, term_id: Callable[[str], int | None], *, n_known: int | None = None
) -> Iterator[tuple[list[Document], SparseBatch, int]]:
    """Yield documents with their vectors and the number of unknown terms, by the name of the file.

    `.jsonl`, `.ndjson` and `.json`, compressed or not, are lines of JSON, `.ciff` is CIFF; all else is Parquet.
    Arguments and errors are those of `read_vectors`.
    """
    if path.suffix.lower() == SUFFIX:
        return read_ciff(path, term_id)
    if is_vector_lines(path):
        return read_vector_lines(path, term_id)
    return read_vectors(path, term_id, n_known=n_known)
