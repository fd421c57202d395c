"""Checksums of documents, and of the columns of each record batch that are read alone: none needs the whole file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

COLUMN_CHECKSUMS = {0: "id_crc", 3: "fields_crc"}
"""The columns that are read alone, and the arrays of their checksums, one a record batch."""


class DocumentChecksums:
    """Collects the checksums (CRC-32) of record batches, one after another."""

    def __init__(self) -> None:
        self._documents: list[npt.NDArray[np.uint32]] = []
        self._columns: dict[str, list[int]] = {name: [] for name in COLUMN_CHECKSUMS.values()}

    def add(self, batch: Any) -> None:
        """Take the checksums of a record batch."""
        parts = [bytes_of(column) for column in batch.columns]
        self._documents.append(np.fromiter(map(document_crc, *parts), np.uint32, batch.num_rows))
        for number, name in COLUMN_CHECKSUMS.items():
            self._columns[name].append(column_crc(parts[number]))

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of a segment: `document_crc` uint32 (n_docs), the others uint32 (record batches)."""
        documents = np.concatenate([np.empty(0, np.uint32), *self._documents])
        return {"document_crc": documents, **{name: np.array(c, np.uint32) for name, c in self._columns.items()}}


def bytes_of(column: Any) -> list[bytes]:
    """Return the texts of a column as they are stored, an empty one for null."""
    return [b"" if value is None else value for value in column.view(_BINARY[column.type]).to_pylist()]


_BINARY = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}


def document_crc(*parts: bytes) -> int:
    """Return the checksum of a document: its doc_id, title, text and fields, one after another."""
    found = 0
    for part in parts:
        found = zlib.crc32(part, found)
    return found


def column_crc(values: Iterable[bytes]) -> int:
    """Return the checksum of a column of a record batch: its texts, each behind its length in 8 bytes."""
    found = 0
    for value in values:
        found = zlib.crc32(value, zlib.crc32(len(value).to_bytes(8, "little"), found))
    return found
