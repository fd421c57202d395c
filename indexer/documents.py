"""The documents of a segment in one Arrow IPC file, in the order in which they were added.

Columns: doc_id, title (string), text (large string), fields (a JSON object as string, null if empty).
Every record batch but the last has ROWS rows, so that a row is found without a look-up table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from lsr.errors import IndexDamagedError
from lsr.indexer.files import FileInfo, new_file
from lsr.types import Document

ROWS = 1024
SCHEMA = pa.schema(
    [("doc_id", pa.string()), ("title", pa.string()), ("text", pa.large_string()), ("fields", pa.string())]
)


class DocumentWriter:
    """Writes documents to a new file; a context manager. `info` is known once it is closed."""

    def __init__(self, path: Path) -> None:
        self._stack = ExitStack()
        self._file = self._stack.enter_context(new_file(path))
        self._writer = self._stack.enter_context(pa.ipc.new_file(pa.PythonFile(self._file, "w"), SCHEMA))
        self._waiting: list[Document] = []
        self.n_docs = 0

    def append(self, documents: Sequence[Document]) -> None:
        """Add documents after those already there."""
        self.n_docs += len(documents)
        self._waiting.extend(documents)
        while len(self._waiting) >= ROWS:
            self._write(self._waiting[:ROWS])
            del self._waiting[:ROWS]

    def _write(self, documents: Sequence[Document]) -> None:
        self._writer.write_batch(
            pa.record_batch(
                [
                    pa.array([d.doc_id for d in documents], pa.string()),
                    pa.array([d.title for d in documents], pa.string()),
                    pa.array([d.text for d in documents], pa.large_string()),
                    pa.array([json.dumps(dict(d.fields)) if d.fields else None for d in documents], pa.string()),
                ],
                schema=SCHEMA,
            )
        )

    def close(self) -> FileInfo:
        """Write what waits, sync, and return size and checksum."""
        if self._waiting:
            self._write(self._waiting)
            self._waiting = []
        self._stack.close()
        return self._file.info

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.__exit__(*details)  # type: ignore[arg-type]


class DocumentStore:
    """Reads the documents of a segment through mmap."""

    def __init__(self, path: Path, n_docs: int) -> None:
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
            batches = self._reader.num_record_batches
            fits = self._reader.schema == SCHEMA and batches == -(-n_docs // ROWS)
        except (OSError, pa.ArrowInvalid) as error:
            raise IndexDamagedError(f"{path}: not a readable document store ({error})") from error
        if not fits:
            raise IndexDamagedError(f"{path}: does not hold the {n_docs} documents of the manifest")
        self._path = path
        self._n_docs = n_docs

    def __len__(self) -> int:
        return self._n_docs

    def _batch(self, number: int) -> Any:
        try:
            batch = self._reader.get_batch(number)
        except (OSError, pa.ArrowInvalid) as error:
            raise IndexDamagedError(f"{self._path}: record batch {number} can't be read ({error})") from error
        if batch.num_rows != min(ROWS, self._n_docs - number * ROWS):
            raise IndexDamagedError(f"{self._path}: record batch {number} has {batch.num_rows} rows")
        return batch

    def _document(self, batch: Any, row: int) -> Document:
        try:
            doc_id, title, text, fields = (column[row].as_py() for column in batch.columns)
            return Document(doc_id, text, title, json.loads(fields) if fields else {})
        except (ValueError, TypeError) as error:
            raise IndexDamagedError(f"{self._path}: a document can't be read ({error})") from error

    def __getitem__(self, row: int) -> Document:
        return self._document(self._batch(row // ROWS), row % ROWS)

    def doc_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows, reading each record batch once."""
        batches: dict[int, Any] = {}
        ids = []
        for row in rows:
            number = row // ROWS
            if number not in batches:
                batches[number] = self._batch(number).column(0)
            ids.append(batches[number][row % ROWS].as_py())
        return ids

    def __iter__(self) -> Iterator[Document]:
        for number in range(-(-self._n_docs // ROWS)):
            batch = self._batch(number)
            for row in range(batch.num_rows):
                yield self._document(batch, row)

    def check(self) -> None:
        """Read everything; raise IndexDamagedError where an array is not what Arrow's format allows."""
        for number in range(-(-self._n_docs // ROWS)):
            try:
                self._batch(number).validate(full=True)
            except pa.ArrowInvalid as error:
                raise IndexDamagedError(f"{self._path}: record batch {number} is damaged ({error})") from error
