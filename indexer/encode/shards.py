"""Shards of encoded documents: Parquet files with a column `id`, and those that a job gives of each window.

A shard's file is there whole or not at all, and says by a hash what it was made of.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import LsrError
from lsr.indexer.encode.columns import Columns, string_array
from lsr.indexer.integrity.damage import lack_of
from lsr.indexer.storage.files import arrow_source
from lsr.io.folder import FileAt
from lsr.types import Document

SOURCE_KEY = b"lsr.source_sha256"
_DICTIONARY_BYTES = 1 << 24  # room for a vocabulary of 250,000 terms, so that terms stay numbers on the disk


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard on the disk. source: the hash of the documents that it was made of."""

    path: Path
    n_docs: int
    source: str


def shard_name(number: int) -> str:
    """Return the name of shard `number` of a job."""
    return f"shard-{number:06}.parquet"


class SourceHash:
    """A hash of documents in their order: ids, titles, texts and fields."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.n_docs = 0

    def update(self, documents: Iterable[Document]) -> None:
        """Take in more documents."""
        for document in documents:
            self.n_docs += 1
            fields = json.dumps(dict(document.fields), sort_keys=True) if document.fields else ""
            for part in (document.doc_id, document.title, document.text, fields):
                encoded = part.encode("utf-8", "surrogatepass")
                self._digest.update(len(encoded).to_bytes(8, "little"))
                self._digest.update(encoded)

    def value(self) -> str:
        """Return the hash of all documents so far."""
        return self._digest.hexdigest()


class ShardWriter:
    """Writes a shard to a temporary name, a row group a window; `close` syncs and renames it."""

    def __init__(self, file: FileAt, *, token: str = "") -> None:
        """Begin. token: distinguishes the temporary name from that of other processes."""
        self._place = file
        self._temporary = file.beside(file.name.replace(".parquet", f"{token and '-'}{token}.tmp"))
        self._source = SourceHash()
        self._file = self._temporary.create(replace=True)
        self._writer: Any = None
        self.is_sound = True

    @property
    def n_docs(self) -> int:
        """Documents so far."""
        return self._source.n_docs

    def append(self, documents: Sequence[Document], columns: Columns) -> None:
        """Add documents and the columns of them. `is_sound` is False if that failed half-way."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({"id": string_array(document.doc_id for document in documents), **columns})
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._file,
                table.schema,
                compression="zstd",
                use_dictionary=["terms.list.element"],
                dictionary_pagesize_limit=_DICTIONARY_BYTES,
                store_schema=False,  # else readers would find a list of dictionaries, not of strings
            )
        self.is_sound = False
        self._writer.write_table(table)
        self._source.update(documents)
        self.is_sound = True

    def close(self) -> Shard:
        """Finish the file: from now on the shard is there."""
        source = self._source.value()
        self._writer.add_key_value_metadata({SOURCE_KEY: source})
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.rename(self._place.name)
        self._place.folder.sync()
        return Shard(self._place.path, self.n_docs, source)

    def abandon(self) -> None:
        """Remove what was written."""
        if self._writer is not None:
            with suppress(OSError, ValueError):  # pyarrow would else try it when the object is forgotten
                self._writer.close()
        self._file.close()
        self._temporary.remove(missing_ok=True)


def read_shard(file: FileAt) -> Shard:
    """Read what a shard says of itself. Raises LsrError if it isn't one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(arrow_source(file))
        return Shard(file.path, metadata.num_rows, metadata.metadata[SOURCE_KEY].decode())
    except (OSError, pa.ArrowException, MemoryError, KeyError, TypeError, ValueError) as error:
        if lacking := lack_of(error, file):
            raise lacking from error
        raise LsrError(f"{file} is not a whole shard of this program ({error}): encode into an empty folder") from error
