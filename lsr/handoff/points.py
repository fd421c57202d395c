"""Documents as Parquet: position, doc_id, title, text, fields, and the vector as two lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsr.errors import LsrError
from lsr.handoff.engine import Facts, Point
from lsr.indexer.integrity.parquet_limits import UnpacksTooMuchError, plain_batches, text_columns
from lsr.io.folder import Folder

ROWS = 1024
_PART = re.compile(r"part-\d+\.parquet", re.ASCII)


class PointsWriter:
    """Writes points into numbered Parquet files, some rows at a time."""

    def __init__(self, folder: Path, facts: Facts) -> None:
        self._folder, self._facts = folder, facts
        self._rows: list[Point] = []
        self._file: Any = None
        self._n_written = 0

    def write(self, point: Point) -> None:
        """Write one."""
        if self._n_written % self._facts.part_docs == 0:
            self.close()
            self._begin()
        self._rows.append(point)
        self._n_written += 1
        if len(self._rows) >= ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left, and close the part."""
        if self._file is not None:
            self._flush()
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        import pyarrow.parquet as pq

        name = f"part-{self._n_written // self._facts.part_docs:05d}.parquet"
        self._file = pq.ParquetWriter(self._folder / name, schema(), compression="zstd")

    def _flush(self) -> None:
        import pyarrow as pa

        rows, self._rows = self._rows, []
        if rows:
            columns = [
                [row.position for row in rows], [row.doc_id for row in rows], [row.title for row in rows],
                [row.text for row in rows], [json.dumps(dict(row.fields)) if row.fields else None for row in rows],
                [row.term_ids for row in rows], [row.impacts for row in rows],
            ]  # fmt: skip
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema(), strict=True)]
            self._file.write_batch(pa.record_batch(arrays, schema=schema()))


def schema() -> Any:
    """Return the columns."""
    import pyarrow as pa

    return pa.schema(
        [
            ("position", pa.int64()), ("doc_id", pa.string()), ("title", pa.string()), ("text", pa.large_string()),
            ("fields", pa.string()), ("indices", pa.list_(pa.int32())), ("impacts", pa.list_(pa.uint8())),
        ]
    )  # fmt: skip


def read_points(folder: Path, size: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of an export's data, `size` at a time, each a dict by column.

    Raises LsrError for parts that can't be read, or unpack to more than files of Parquet may.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = ""
    try:
        data = Folder.open(folder).folder("data")
        for name in sorted(filter(_PART.fullmatch, data.names())):
            with data.open_file(name) as file:
                text_columns(file, data.size_bytes(name))
                for batch in plain_batches(pq.ParquetFile(file).iter_batches(batch_size=size)):
                    yield batch.to_pylist()
    except (OSError, pa.ArrowException, UnpacksTooMuchError) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise LsrError(f"{folder / 'data' / name}: can't be read ({why}); export again") from error
