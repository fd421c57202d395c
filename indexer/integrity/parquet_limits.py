"""Limits on what a stranger's Parquet file unpacks to, checked before it does, or before repeated values are copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from lsr.errors import LsrError
from lsr.indexer.corpus.compression import FREE_BYTES, MAX_EXPANSION
from lsr.indexer.integrity.parquet_columns import OLD_PADDING, column_size
from lsr.indexer.integrity.parquet_pages import PageHeaderError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

LARGEST_BATCH = 1 << 30
"""Bytes of the texts of a few thousand rows, each counted as often as it is repeated."""
VALUE_BYTES = 16
"""Bytes that a value in a list takes at least, with its levels."""
SHORT_BYTES = 1 << 16
"""Length of all columns' longest repeated texts up to which no batch of them is large."""
MOST_ROWS = 4096
"""Rows that are read at a time, at most."""


class UnpacksTooMuchError(LsrError):
    """Refusal of a file that would take too much memory. The message is without the file's name."""


class TextColumns(NamedTuple):
    """Columns of texts to be read with dictionaries, and how many rows are read at a time."""

    names: list[str]
    most_rows: int


def text_columns(place: Path | BinaryIO, size_bytes: int) -> TextColumns:
    """Return how the texts of a file are to be read, so that they take little memory.

    place: the file, or its path. size_bytes: of the file. Raises UnpacksTooMuchError where a row group, or the headers
    of its pages, say that it unpacks to more than a file may.
    """
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        file = place if not isinstance(place, Path) else stack.enter_context(place.open("rb"))
        parquet = stack.enter_context(pq.ParquetFile(place))
        longest, prefixed = _check_sizes(file, parquet, size_bytes * MAX_EXPANSION + FREE_BYTES)
        columns = (parquet.schema.column(i) for i in range(len(parquet.schema)))
        # Arrow has no dictionaries in lists and structs: `_check_sizes` limits what texts in these become. Nor has it
        # any of texts that are stored as prefixes and ends: fewer rows of these are read at a time.
        names = [c.path for c in columns if _is_text(c) and c.path == c.name and c.path not in prefixed]
        if sum(longest[name] for name in names) <= SHORT_BYTES:
            names = []  # a third of the time
        return TextColumns(names, max(1, LARGEST_BATCH // 4 // max(prefixed.values(), default=1)))


def _is_text(column: Any) -> bool:
    return bool(column.physical_type == "BYTE_ARRAY" and column.logical_type.type != "DECIMAL")


def _check_sizes(file: BinaryIO, parquet: pq.ParquetFile, most: int) -> tuple[Counter[str], dict[str, int]]:
    """Refuse row groups that become too large; return how long repeated texts may be, by column.

    The second are those of texts that are stored as prefixes and ends.
    """
    longest: Counter[str] = Counter()
    prefixed: dict[str, int] = {}
    padding = OLD_PADDING if "parquet-mr" in (parquet.metadata.created_by or "").lower() else 0
    for group in range(parquet.num_row_groups):
        metadata = parquet.metadata.row_group(group)
        unpacked, in_lists = 0, 0
        for number in range(metadata.num_columns):
            column = parquet.schema.column(number)
            try:
                size = column_size(file, metadata.column(number), padding, texts=_is_text(column))
            except PageHeaderError as error:
                raise UnpacksTooMuchError(
                    f"the Parquet file is damaged: row group {group}, column {column.path!r}: {error}"
                ) from None
            unpacked += size.unpacked
            longest[column.path] = max(longest[column.path], size.longest)
            if column.max_repetition_level:
                in_lists = max(in_lists, size.n_values * max(VALUE_BYTES, size.longest))
            elif column.path != column.name:
                in_lists = max(in_lists, min(size.n_values, MOST_ROWS) * size.longest)
            elif size.longest_prefixed:
                prefixed[column.path] = max(prefixed.get(column.path, 1), size.longest_prefixed)
        for n_bytes, what in (
            (max(unpacked, metadata.total_byte_size), "unpacks"),
            (in_lists, "has lists that unpack"),
        ):
            if n_bytes > most:
                raise UnpacksTooMuchError(
                    f"row group {group} {what} to {n_bytes:,} bytes, over {MAX_EXPANSION} times the size of the file "
                    f"and {FREE_BYTES >> 30} GiB: write it again, uncompressed"
                )
    return longest, prefixed


def plain_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches with their texts copied out of dictionaries.

    Raises UnpacksTooMuchError before it copies too much, ArrowInvalid for texts that aren't UTF-8.
    """
    import pyarrow as pa

    for batch in batches:
        size_bytes = sum(map(_plain_bytes, batch.columns))
        if size_bytes > LARGEST_BATCH:
            raise UnpacksTooMuchError(
                f"the texts of {batch.num_rows:,} rows are {size_bytes:,} bytes, more than {LARGEST_BATCH:,}, "
                "the limit: cut the documents into smaller ones"
            )
        plain = pa.RecordBatch.from_arrays([_plain(column) for column in batch.columns], names=batch.schema.names)
        plain.validate(full=True)
        yield plain


def _plain_bytes(column: Any) -> int:
    """Return the size of a column of texts without its dictionary; 0 for other columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not _is_coded_text(column.type):
        return int(column.nbytes) if _is_text_type(column.type) else 0
    lengths = pc.binary_length(column.dictionary)
    return int(pc.sum(pc.take(pc.cast(lengths, pa.int64()), column.indices)).as_py() or 0)


def _plain(column: Any) -> Any:
    return column.dictionary_decode() if _is_coded_text(column.type) else column


def _is_coded_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_dictionary(kind) and _is_text_type(kind.value_type)


def _is_text_type(kind: Any) -> bool:
    import pyarrow as pa

    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(of(kind) for of in texts)
