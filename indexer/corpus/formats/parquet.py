"""Parquet: one document a row, read batch by batch, and only the columns that a document can keep."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.intake import FileBrokenError, FileSkippedError, Intake, RecordError
from lsr.indexer.corpus.opening import opened
from lsr.indexer.corpus.records import Layout, NoTextFieldError, RecordReader, joined_texts
from lsr.indexer.corpus.report import Reason
from lsr.indexer.integrity.parquet_limits import MOST_ROWS, UnpacksTooMuchError, plain_batches, text_columns
from lsr.io.plain_file import open_plain
from lsr.types import Document

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Read so, and without pre_buffer; else the columns of a whole row group are held at once.
_READ_BYTES = 1 << 20
_BATCH_BYTES = 16 << 20


def read_parquet(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield (row number from 1, document).

    Columns become fields where they hold texts, numbers, truth values, lists of texts or whole numbers, or structs of
    these; dates, times and decimals become texts. Columns of other types (vectors, bytes) are not even read.
    """
    import pyarrow as pa

    try:
        with _opened_file(source, intake) as file:
            yield from _documents(*file, source, intake)
    except UnpacksTooMuchError as error:
        raise FileBrokenError(str(error)) from None
    except pa.ArrowException as error:
        raise FileBrokenError(f"the Parquet file is damaged or cut off: {_one_line(error)}") from None
    except OSError as error:
        raise FileBrokenError(f"the Parquet file can't be read: {_one_line(error)}") from None


@contextmanager
def _opened_file(source: SourceFile, intake: Intake) -> Iterator[tuple[pq.ParquetFile, int]]:
    """Open a file for reading at any offset; one compressed or from elsewhere goes through a temporary file.

    Yields the file, and how many rows may be read at a time.
    """
    if not source.compression and source.reopen is None:
        try:
            unread = os.fdopen(open_plain(source.path), "rb")
        except OSError as error:
            raise FileSkippedError(Reason.UNREADABLE, error.strerror or str(error)) from None
        with unread:
            # Arrow reads paths faster than streams. Its own path may lead elsewhere by now, and this one doesn't.
            path = Path(f"/proc/self/fd/{unread.fileno()}")
            with _bounded(path if path.exists() else unread, source.size_bytes) as file:
                yield file
        return
    with tempfile.TemporaryFile() as unpacked:
        with opened(source, intake.report) as stream:
            shutil.copyfileobj(stream, unpacked, 1 << 20)
        with _bounded(unpacked, unpacked.tell()) as file:
            yield file


@contextmanager
def _bounded(place: Any, size_bytes: int) -> Iterator[tuple[pq.ParquetFile, int]]:
    """Open a file so that a text that it repeats is held once. Raises UnpacksTooMuchError."""
    import pyarrow.parquet as pq

    texts = text_columns(place, size_bytes)
    with pq.ParquetFile(place, read_dictionary=texts.names, buffer_size=_READ_BYTES, pre_buffer=False) as file:
        yield file, min(texts.most_rows, MOST_ROWS)


def _documents(
    file: pq.ParquetFile, most_rows: int, source: SourceFile, intake: Intake
) -> Iterator[tuple[int, Document]]:
    schema = file.schema_arrow
    if len(set(schema.names)) < len(schema.names):
        raise FileBrokenError("two of its columns have the same name")
    records = RecordReader(intake.report, intake.options)
    try:
        layout = records.layout_of(schema.names)
    except NoTextFieldError as error:
        intake.without_text(source, str(error))
    except RecordError as error:
        raise FileBrokenError(str(error)) from None
    kept = [key for key, _ in layout.fields if _is_kept(schema.field(key).type)]
    for key, name in layout.fields:
        if key not in kept:
            intake.report.drop_value(name, source.label)
    keys = (layout.id_key, layout.text_key, layout.title_key, *layout.more_texts)
    columns = [key for key in keys if key] + kept
    start_bytes, row_number = intake.report.bytes_done, 0
    for group in range(file.num_row_groups):
        coded = file.iter_batches(_batch_rows(file, group, most_rows), row_groups=[group], columns=columns)
        for batch in plain_batches(coded):
            for parts in _rows(batch, layout, kept):
                row_number += 1
                if not layout.id_key:
                    own_id = f"{source.doc_id}:{row_number}"
                    parts = (own_id, *parts[1:])
                    intake.report.make_id(own_id)
                try:
                    document = records.assemble(*parts)
                except RecordError as error:
                    intake.bad_record(source, row_number, str(error))
                    continue
                yield row_number, document
            if not source.compression:
                done = source.size_bytes * row_number // file.metadata.num_rows
                intake.report.bytes_done = start_bytes + done


def _batch_rows(file: pq.ParquetFile, group: int, most_rows: int) -> int:
    """Return how many rows of a group make a batch of moderate size."""
    metadata = file.metadata.row_group(group)
    row_bytes: int = metadata.total_byte_size // max(1, metadata.num_rows) + 1
    return max(1, min(most_rows, _BATCH_BYTES // row_bytes))


def _rows(batch: pa.RecordBatch, layout: Layout, kept: list[str]) -> Iterator[tuple[Any, Any, Any, Any]]:
    texts = _values(batch.column(layout.text_key))
    if layout.more_texts:
        others = [_values(batch.column(key)) for key in layout.more_texts]
        texts = [joined_texts(values) for values in zip(texts, *others, strict=True)]
    ids = _values(batch.column(layout.id_key)) if layout.id_key else [None] * len(texts)
    titles = _values(batch.column(layout.title_key)) if layout.title_key else [""] * len(ids)
    if not kept:
        return zip(ids, texts, titles, [()] * len(ids), strict=True)
    names = dict(layout.fields)
    fields = [[(names[key], value) for value in _values(batch.column(key))] for key in kept]
    return zip(ids, texts, titles, zip(*fields, strict=True), strict=True)


def _values(column: pa.Array) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        return _times(column)
    if pa.types.is_temporal(column.type) or pa.types.is_decimal(column.type):
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    return values


def _times(column: pa.Array) -> list[str | None]:
    """Return times in ISO 8601, in UTC where a zone is known, to the microsecond.

    Dates of filters have no finer unit.
    """
    import pyarrow as pa

    zone = "" if column.type.tz is None else "Z"
    texts = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.timestamp("us")).cast(pa.string())
    return [None if text is None else _without_zeros(text) + zone for text in texts.to_pylist()]


def _without_zeros(time: str) -> str:
    return time.removesuffix(".000000").replace(" ", "T")


def _is_kept(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return _is_kept(kind.value_type)
    if types.is_struct(kind):
        return all(_is_kept(kind.field(i).type) for i in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind):
        items = kind.value_type
        return bool(_is_text(items) or types.is_integer(items) or types.is_boolean(items))
    return bool(
        _is_text(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_null(kind)
        or (types.is_temporal(kind) and not types.is_interval(kind))
        or types.is_decimal(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


FORMATS = (
    FileFormat(
        "parquet",
        (".parquet",),
        read_parquet,
        title="the column `title`",
        text="the column `text`, or another usual name",
        fields="all other columns but vectors and bytes",
        holds_records=True,
        unit="row",
    ),
)
