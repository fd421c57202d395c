"""Shards of encoded documents: Parquet files with columns `id`, those of the vectors, and `title`, `text`.

What `lsr index --vectors` reads, where the vectors are sparse. A shard's file is there whole or not at all, and
says by a hash what it was made of.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import LsrError
from lsr.indexer.encode.columns import Columns, string_array
from lsr.indexer.files import sync_folder
from lsr.types import Document

SOURCE_KEY = b"lsr.source_sha256"
_DICTIONARY_BYTES = 1 << 24  # room for a vocabulary of 250,000 terms, so that terms stay numbers on the disk


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard on the disk. source: the hash of the documents that it was made of."""

    path: Path
    n_docs: int
    source: str


def shard_path(folder: Path, number: int) -> Path:
    """Return where shard `number` of a job stands."""
    return folder / f"shard-{number:06}.parquet"


def source_hash(documents: Sequence[Document]) -> str:
    """Return a hash of ids, titles and texts, in their order."""
    digest = hashlib.sha256()
    for document in documents:
        for part in (document.doc_id, document.title, document.text):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
    return digest.hexdigest()


def write_shard(path: Path, documents: Sequence[Document], vectors: Columns, *, with_text: bool) -> Shard:
    """Write documents and the columns of their vectors: to a temporary name, synced, renamed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"id": string_array(document.doc_id for document in documents), **vectors}
    if with_text:
        columns["title"] = string_array(document.title for document in documents)
        columns["text"] = string_array(document.text for document in documents)
    source = source_hash(documents)
    table = pa.table(columns)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        with pq.ParquetWriter(
            file,
            table.schema,
            compression="zstd",
            use_dictionary=["terms.list.element"],
            dictionary_pagesize_limit=_DICTIONARY_BYTES,
            store_schema=False,  # else readers would find a list of dictionaries, not of strings
        ) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata({SOURCE_KEY: source})
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)
    return Shard(path, len(documents), source)


def read_shard(path: Path) -> Shard:
    """Read what a shard says of itself. Raises LsrError if it isn't one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
        return Shard(path, metadata.num_rows, metadata.metadata[SOURCE_KEY].decode())
    except (OSError, pa.ArrowInvalid, KeyError, TypeError) as error:
        raise LsrError(f"{path} is not a whole shard of this program ({error}): encode into an empty folder") from error
