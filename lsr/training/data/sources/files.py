"""Readers of Parquet, JSON Lines, arrays of JSON and TSV, `.gz` of each, as records with their places."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.io.text_files import numbered_lines
from lsr.training.data.sources.json_array import read_array
from lsr.training.data.sources.records import Layout, layout_of
from lsr.training.data.sources.tsv import read_tsv

BATCH_ROWS = 1024
_UNITS = {"parquet": "row", "jsonl": "line", "json": "record", "tsv": "line"}

Records = Iterator[tuple[int, Mapping[str, Any]]]
"""Row or line, counted from 1, and the values by column."""


def kind_of(path: Path) -> str:
    """Return `parquet`, `jsonl`, `json` or `tsv`. Raises UsageError for another file, LsrError for none at all."""
    if not path.is_file():
        raise LsrError(f"{path}: no such file: check the spelling")
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        return "parquet"
    if name.endswith((".jsonl", ".ndjson")):
        return "jsonl"
    for kind in ("json", "tsv"):
        if name.endswith(f".{kind}"):
            return kind
    raise UsageError(
        f"{path}: examples are read from .parquet, .jsonl, .json, .tsv, .gz of these, and folders of BEIR and MS MARCO"
    )


def place_of(path: Path, number: int) -> str:
    """Return the name of a record in errors."""
    return f"{path}, {_UNITS[kind_of(path)]} {number:,}"


def read_records(path: Path, *, queries: bool, corpus: bool) -> Records:
    """Yield the records of a file, after a check of its columns.

    queries, corpus: whether ids of queries and of documents can be looked up. Raises BadDocumentError, LsrError.
    """
    kind = kind_of(path)
    if kind == "parquet":
        return _parquet(path, queries, corpus)
    if kind == "tsv":
        return read_tsv(path, by_ids=queries and corpus)
    return read_array(path) if kind == "json" else _jsonl(path)


def _jsonl(path: Path) -> Records:
    for number, line in numbered_lines(path):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadDocumentError(
                f"{path}, line {number:,}: broken JSON: {error.msg} at column {error.colno}"
            ) from None
        except RecursionError:
            raise BadDocumentError(f"{path}, line {number:,}: the JSON is nested too deeply") from None
        if not isinstance(record, dict):
            raise BadDocumentError(f"{path}, line {number:,}: {type(record).__name__}; a JSON object was expected")
        yield number, record


def _parquet(path: Path, queries: bool, corpus: bool) -> Records:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        try:
            source: Any = path
            if path.suffix == ".gz":  # Parquet is read from its end, so it has to be unpacked
                source = stack.enter_context(tempfile.TemporaryFile())
                with gzip.open(path, "rb") as packed:
                    shutil.copyfileobj(packed, source, 1 << 20)
                source.seek(0)
            file = stack.enter_context(pq.ParquetFile(source, buffer_size=1 << 20, pre_buffer=False))
            layout = layout_of(file.schema_arrow.names, str(path), queries=queries, corpus=corpus)
            _check_types(path, file.schema_arrow, layout)
            number = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=layout.columns):
                names = batch.schema.names
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, dict(zip(names, values, strict=True))
        except (pa.ArrowException, EOFError) as error:
            raise LsrError(f"{path}: the file is damaged or cut off: {' '.join(str(error).split())}") from None
        except OSError as error:
            raise LsrError(f"{path}: can't be read: {' '.join(str(error).split())}") from None


def _check_types(path: Path, schema: Any, layout: Layout) -> None:
    """Raise BadDocumentError for a column whose type doesn't fit its name."""
    scores = {layout.scores, layout.positive_score, layout.negative_scores}
    ids = {layout.query_id, layout.positive_id, layout.negative_id, layout.listed_id}
    single = {layout.query, layout.title}
    for column in layout.columns:
        kind = schema.field(column).type
        if column in scores:
            fits, expected = _is_number(_inner(kind)), "numbers"
        elif column in ids:
            fits, expected = _is_text(_inner(kind)) or _is_whole(_inner(kind)), "ids (texts or whole numbers)"
        elif column in single:
            fits, expected = _is_text(kind), "texts"
        else:
            fits, expected = _is_text(_inner(kind)) or _is_struct(_inner(kind)), "texts, or objects with a text"
        if not fits:
            raise BadDocumentError(f"{path}: column {column!r} holds {kind}; {expected} were expected")


def _inner(kind: Any) -> Any:
    import pyarrow as pa

    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return kind.value_type if any(is_list(kind) for is_list in lists) else kind


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


def _is_whole(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind))


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_null(kind)) or _is_whole(kind)


def _is_struct(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind))
