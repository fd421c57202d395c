"""Rows of tables: pandas and polars data frames, and what else gives its columns as Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lsr.errors import BadDocumentError

ROWS = 1024
"""Rows that are Python objects at a time."""

_PANDAS_INDEX = "__index_level_"
_TABLE_PARTS = ("columns", "column_names", "schema")


def is_table(value: object) -> bool:
    """Tell whether a value has named columns that Arrow can read."""
    as_arrow = hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")
    return as_arrow and any(hasattr(value, part) for part in _TABLE_PARTS)


def is_lazy(value: object) -> bool:
    """Tell whether a value is a polars LazyFrame, which has no rows yet."""
    return type(value).__name__ == "LazyFrame" and hasattr(value, "collect")


def rows_of(table: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as dicts, some at a time.

    Args:
        table: any object with the Arrow PyCapsule interface: a DataFrame, a Table, a RecordBatch or a reader of these.

    Raises:
        BadDocumentError: its columns can't be read, or two have the same name.
    """
    import pyarrow as pa

    with _explained():
        if hasattr(table, "__arrow_c_stream__"):
            reader = pa.RecordBatchReader.from_stream(table)
        else:
            batch = pa.record_batch(table)
            reader = pa.RecordBatchReader.from_batches(batch.schema, [batch])
    names = [name for name in reader.schema.names if not name.startswith(_PANDAS_INDEX)]
    for name in names:
        if names.count(name) > 1:
            raise BadDocumentError(f"the table has several columns {name!r}; give each another name")
    for batch in _batches(reader):
        kept = batch.select(names)
        for first in range(0, kept.num_rows, ROWS):
            with _explained():
                rows: list[dict[str, Any]] = kept.slice(first, ROWS).to_pylist()
            yield from rows


def _batches(reader: Any) -> Iterator[Any]:
    while True:
        with _explained():
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
        yield batch


@contextmanager
def _explained() -> Iterator[None]:
    """Raise BadDocumentError for what Arrow can't read."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise BadDocumentError(
            f"the table's columns can't be read: {reason}; give each column values of one kind"
        ) from error
