"""Limits on what a stranger's Parquet file unpacks to, checked before it does, or before repeated values are copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lsr.errors import LsrError
from lsr.indexer.corpus.compression import FREE_BYTES, MAX_EXPANSION

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

LARGEST_BATCH = 1 << 30
"""Bytes of the texts of a few thousand rows, each counted as often as it is repeated."""


class UnpacksTooMuchError(LsrError):
    """Refusal of a file that would take too much memory. The message is without the file's name."""


def text_columns(file: pq.ParquetFile, size_bytes: int) -> list[str]:
    """Return the columns of texts, to be read with dictionaries, which hold a repeated text once.

    size_bytes: of the file. Raises UnpacksTooMuchError where a row group says that it unpacks to more than a file may.
    """
    most = size_bytes * MAX_EXPANSION + FREE_BYTES
    for group in range(file.num_row_groups):
        unpacked = file.metadata.row_group(group).total_byte_size
        if unpacked > most:
            raise UnpacksTooMuchError(
                f"row group {group} unpacks to {unpacked:,} bytes, over {MAX_EXPANSION} times the size of the file and "
                f"{FREE_BYTES >> 30} GiB: write it again, uncompressed"
            )
    columns = (file.schema.column(i) for i in range(len(file.schema)))
    # Arrow has no dictionaries in lists and structs: texts in these are limited by its offsets, to 2 GiB.
    return [
        c.path
        for c in columns
        if c.physical_type == "BYTE_ARRAY" and c.path == c.name and c.logical_type.type != "DECIMAL"
    ]


def plain_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches with their texts copied out of dictionaries.

    Raises UnpacksTooMuchError before it copies too much.
    """
    import pyarrow as pa

    for batch in batches:
        size_bytes = sum(map(_plain_bytes, batch.columns))
        if size_bytes > LARGEST_BATCH:
            raise UnpacksTooMuchError(
                f"the texts of {batch.num_rows:,} rows are {size_bytes:,} bytes, more than {LARGEST_BATCH:,}, "
                "the limit: cut the documents into smaller ones"
            )
        yield pa.RecordBatch.from_arrays([_plain(column) for column in batch.columns], names=batch.schema.names)


def _plain_bytes(column: Any) -> int:
    """Return the size of a column of texts when its dictionary is copied out; 0 for other columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not _is_coded_text(column.type):
        return 0
    lengths = pc.binary_length(column.dictionary)
    return int(pc.sum(pc.take(pc.cast(lengths, pa.int64()), column.indices)).as_py() or 0)


def _plain(column: Any) -> Any:
    return column.dictionary_decode() if _is_coded_text(column.type) else column


def _is_coded_text(kind: Any) -> bool:
    import pyarrow as pa

    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return pa.types.is_dictionary(kind) and any(of(kind.value_type) for of in texts)
