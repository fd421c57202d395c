"""Checksums of documents: one of each, and one of the doc_ids of each record batch: neither needs the whole file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class DocumentChecksums:
    """Collects the checksums (CRC-32) of record batches, one after another."""

    def __init__(self) -> None:
        self._documents: list[npt.NDArray[np.uint32]] = []
        self._ids: list[int] = []

    def add(self, batch: Any) -> None:
        """Take the checksums of a record batch."""
        parts = [bytes_of(column) for column in batch.columns]
        self._documents.append(np.fromiter(map(document_crc, *parts), np.uint32, batch.num_rows))
        self._ids.append(ids_crc(parts[0]))

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of a segment: `document_crc` uint32 (n_docs), `id_crc` uint32 (record batches)."""
        documents = np.concatenate([np.empty(0, np.uint32), *self._documents])
        return {"document_crc": documents, "id_crc": np.array(self._ids, np.uint32)}


def bytes_of(column: Any) -> list[bytes]:
    """Return the texts of a column as they are stored, an empty one for null."""
    return [b"" if value is None else value for value in column.cast(_BINARY[column.type]).to_pylist()]


_BINARY = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}


def document_crc(*parts: bytes) -> int:
    """Return the checksum of a document: its doc_id, title, text and fields, one after another."""
    found = 0
    for part in parts:
        found = zlib.crc32(part, found)
    return found


def ids_crc(ids: Iterable[bytes]) -> int:
    """Return the checksum of the doc_ids of a record batch: joined by NUL."""
    return zlib.crc32(b"\0".join(ids))
