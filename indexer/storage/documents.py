"""The documents of a segment in one Arrow IPC file, in the order in which they were added.

Columns: doc_id, title (string), text (large string), fields (a JSON object as string, null if empty).
Every record batch but the last has ROWS rows, so that a row is found without a look-up table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lsr.errors import BadDocumentError, IndexDamagedError
from lsr.indexer.integrity.damage import REMEDY, unreadable
from lsr.indexer.integrity.document_checksums import (
    COLUMN_CHECKSUMS,
    DocumentChecksums,
    bytes_of,
    column_crc,
    document_crc,
)
from lsr.indexer.storage.batch_rows import BatchRows
from lsr.indexer.storage.files import ROWS, FileInfo, checked_arrow_source, checksum, new_file
from lsr.io.folder import FileAt
from lsr.types import PASSAGE_OF, Document, FieldValue

SCHEMA = pa.schema(
    [("doc_id", pa.string()), ("title", pa.string()), ("text", pa.large_string()), ("fields", pa.string())]
)

ROWS_OF_FILE = 32
"""Share of rows (1 in so many) from which reading them costs more than verifying the whole file."""
MOST_OPEN = 1024
"""Record batches whose buffers are kept at hand, about 4 kB each."""


class DocumentWriter:
    """Writes documents to a new file."""

    def __init__(self, path: Path | FileAt) -> None:
        self._stack = ExitStack()
        self._file = self._stack.enter_context(new_file(path))
        self._writer = self._stack.enter_context(pa.ipc.new_file(pa.PythonFile(self._file, "w"), SCHEMA))
        self._waiting: list[Document] = []
        self._checksums = DocumentChecksums()
        self.n_docs = 0

    def append(self, documents: Sequence[Document]) -> None:
        """Add documents after those already there. Raises BadDocumentError for one that can't be stored."""
        self.n_docs += len(documents)
        self._waiting.extend(documents)
        while len(self._waiting) >= ROWS:
            self._write(self._waiting[:ROWS])
            del self._waiting[:ROWS]

    def _write(self, documents: Sequence[Document]) -> None:
        try:
            columns = [
                pa.array([d.doc_id for d in documents], pa.string()),
                pa.array([d.title for d in documents], pa.string()),
                pa.array([d.text for d in documents], pa.large_string()),
                pa.array([json.dumps(dict(d.fields)) if d.fields else None for d in documents], pa.string()),
            ]
        except (ValueError, TypeError) as error:
            raise _unfit(documents) from error
        batch = pa.record_batch(columns, schema=SCHEMA)
        self._writer.write_batch(batch)
        self._checksums.add(batch)

    def close(self) -> FileInfo:
        """Write what waits, sync, and return size and checksum."""
        if self._waiting:
            self._write(self._waiting)
            self._waiting = []
        self._stack.close()
        return self._file.info

    @property
    def checksums(self) -> DocumentChecksums:
        """The checksums of what was written."""
        return self._checksums

    def abandon(self) -> None:
        """Close a file that nobody will read."""
        self._waiting = []
        self._stack.close()


def copy_documents(
    path: Path | FileAt, sources: Iterable[tuple[DocumentStore, npt.NDArray[np.bool_]]]
) -> tuple[FileInfo, dict[str, npt.NDArray[Any]]]:
    """Write some rows of stores to a new file, one store after another, as they are: no text is decoded.

    sources: stores, and which of their rows, bool. Returns size and checksum of the file, and the checksums of the
    documents. Raises IndexDamagedError.
    """
    checksums = DocumentChecksums()
    with new_file(path) as file, pa.ipc.new_file(pa.PythonFile(file, "w"), SCHEMA) as writer:
        held: list[Any] = []
        n_held = 0
        for batch in (batch for store, rows in sources for batch in store.kept(rows)):
            held.append(batch)
            n_held += batch.num_rows
            if n_held >= ROWS:
                joined = pa.concat_batches(held)
                writer.write_batch(joined.slice(0, ROWS))
                checksums.add(joined.slice(0, ROWS))
                held, n_held = [joined.slice(ROWS)], n_held - ROWS
        if n_held:
            joined = pa.concat_batches(held)
            writer.write_batch(joined)
            checksums.add(joined)
    return file.info, checksums.arrays


def rewrite_fields(
    path: Path | FileAt, store: DocumentStore, rows: npt.NDArray[np.bool_], values: Mapping[str, FieldValue]
) -> tuple[FileInfo, dict[str, npt.NDArray[Any]]]:
    """Write a store to a new file, some rows with other values of some fields.

    rows: bool, (len(store)). values: by field, None for one that is removed. Returns size and checksum of the file, and
    the checksums of the documents. Raises IndexDamagedError.
    """
    checksums = DocumentChecksums()
    first = 0
    with new_file(path) as file, pa.ipc.new_file(pa.PythonFile(file, "w"), SCHEMA) as writer:
        for batch in store.kept(np.ones(len(store), bool)):
            chosen = rows[first : first + batch.num_rows]
            first += batch.num_rows
            if chosen.any():
                fields = [
                    _with_values(text, values) if is_chosen else text
                    for text, is_chosen in zip(batch.column("fields").to_pylist(), chosen.tolist(), strict=True)
                ]
                columns = [*batch.columns[:3], pa.array(fields, pa.string())]
                batch = pa.record_batch(columns, schema=SCHEMA)
            writer.write_batch(batch)
            checksums.add(batch)
    return file.info, checksums.arrays


def _with_values(text: str | None, values: Mapping[str, FieldValue]) -> str | None:
    merged = (json.loads(text) if text else {}) | dict(values)
    kept = {name: value for name, value in merged.items() if value is not None or name not in values}
    return json.dumps(kept) if kept else None


def _document(doc_id: str | None, title: str | None, text: str | None, fields: str | None) -> Document:
    if doc_id is None or title is None or text is None:
        raise ValueError("a text is missing")
    return Document(doc_id, text, title, json.loads(fields) if fields else {})


def _unfit(documents: Sequence[Document]) -> BadDocumentError:
    """Return the error that names which of some documents can't be stored."""
    for document in documents:
        parts = {"doc_id": document.doc_id, "title": document.title, "text": document.text}
        for name, value in parts.items():
            try:
                value.encode("utf-8")
            except (UnicodeEncodeError, AttributeError):
                return BadDocumentError(f"document {document.doc_id!r}: its {name} is not a text that UTF-8 can hold")
        try:
            json.dumps(dict(document.fields))
        except (ValueError, TypeError) as error:
            return BadDocumentError(f"document {document.doc_id!r}: its fields can't be stored as JSON ({error})")
    return BadDocumentError("some documents can't be stored")


class DocumentStore:
    """Reads the documents of a segment through mmap.

    checksums: `document_crc`, `id_crc` and `fields_crc`, which what is read is compared with; info: the same of the
    whole file, for when all of it is read. None while a segment is being made.
    """

    def __init__(
        self,
        path: Path | FileAt,
        n_docs: int,
        *,
        checksums: Mapping[str, npt.NDArray[Any]] | None = None,
        info: FileInfo | None = None,
    ) -> None:
        self._path = path
        self._n_docs = n_docs
        self._checksums = checksums
        self._info = info
        self._sound_columns: set[tuple[int, int]] = set()
        self._open_batches: dict[int, BatchRows] = {}
        try:
            self._reader = pa.ipc.open_file(checked_arrow_source(path))
            batches = self._reader.num_record_batches
            fits = self._reader.schema == SCHEMA and batches == -(-n_docs // ROWS)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise unreadable(error, self._path, what="not a readable document store") from error
        if not fits:
            raise self._damaged(f"does not hold the {n_docs} documents of the manifest")

    def __len__(self) -> int:
        return self._n_docs

    def _batch(self, number: int) -> Any:
        try:
            batch = self._reader.get_batch(number)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(error, self._path, what=f"record batch {number} can't be read") from error
        if batch.num_rows != min(ROWS, self._n_docs - number * ROWS):
            raise self._damaged(f"record batch {number} has {batch.num_rows} rows")
        return batch

    def _damaged(self, what: str) -> IndexDamagedError:
        return IndexDamagedError(f"{self._path}: {what}; {REMEDY}")

    def __getitem__(self, row: int) -> Document:
        try:
            parts = self._rows(row // ROWS).row(row % ROWS)
            if self._checksums is not None:
                crc = document_crc(*(part or b"" for part in parts))
                if crc != self._checksums["document_crc"][row]:
                    raise self._damaged(f"document {row} is not what was written")
            return _document(*(None if part is None else part.decode() for part in parts))
        except (pa.ArrowException, ValueError, TypeError, RecursionError) as error:
            raise unreadable(error, self._path, what=f"document {row} can't be read") from error

    def _rows(self, number: int) -> BatchRows:
        """Return the rows of a record batch; the last used batches are kept open."""
        found = self._open_batches.get(number)
        if found is None:
            if len(self._open_batches) >= MOST_OPEN:
                self._open_batches = {}  # other threads may still use the old one
            found = self._open_batches[number] = BatchRows(self._batch(number))
        return found

    def some(self, rows: npt.NDArray[np.bool_]) -> Iterator[Document]:
        """Yield the documents that are marked, in their order. rows: bool, (len(self)). Raises IndexDamagedError."""
        for number, batch in enumerate(self.kept(rows)):
            try:
                yield from map(_document, *(column.to_pylist() for column in batch.columns))
            except (pa.ArrowException, ValueError, TypeError, RecursionError) as error:
                raise unreadable(error, self._path, what=f"record batch {number} is damaged") from error

    def _sound(self, batch: int, number: int) -> Any:
        """Return a column of a record batch, compared with its checksum when it is first read."""
        column = self._batch(batch).column(number)
        if (batch, number) not in self._sound_columns:
            column.validate(full=True)
            name = COLUMN_CHECKSUMS[number]
            if self._checksums is not None and column_crc(bytes_of(column)) != self._checksums[name][batch]:
                raise self._damaged(
                    f"the column {SCHEMA.names[number]} of record batch {batch} is not what was written"
                )
            self._sound_columns.add((batch, number))
        return column

    def doc_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows, reading each record batch once. Raises IndexDamagedError."""
        return self._column(rows, 0)

    def texts(self, rows: Sequence[int]) -> list[tuple[str, str]]:
        """Return titles and texts of rows, which ascend. Raises IndexDamagedError."""
        if self._info is not None and len(rows) < self._n_docs // ROWS_OF_FILE:
            return [(document.title, document.text) for document in map(self.__getitem__, rows)]
        self._verify_file()
        found: list[tuple[str, str]] = []
        try:
            for number, some in groupby(rows, lambda row: row // ROWS):
                batch = self._batch(number)
                batch.validate(full=True)
                wanted = batch.take(pa.array([row % ROWS for row in some]))
                found += zip(wanted.column("title").to_pylist(), wanted.column("text").to_pylist(), strict=True)
        except (pa.ArrowException, ValueError) as error:
            raise unreadable(error, self._path, what="a text can't be read") from error
        return found

    def _column(self, rows: Sequence[int], number: int) -> list[Any]:
        """Return the values of a column, reading each record batch once."""
        batches: dict[int, Any] = {}
        values = []
        try:
            for row in rows:
                batch = row // ROWS
                if batch not in batches:
                    batches[batch] = self._sound(batch, number)
                values.append(batches[batch][row % ROWS].as_py())
        except (pa.ArrowException, ValueError, IndexError) as error:
            raise unreadable(error, self._path, what=f"a {SCHEMA.names[number]} can't be read") from error
        return values

    def id_columns(self) -> Iterator[Any]:
        """Yield the ids of each record batch as a pyarrow column, verified. Raises IndexDamagedError."""
        for number in range(self._reader.num_record_batches):
            yield self._sound(number, 0)

    def document_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the id of the document that each row is, or is a passage of."""
        fields = self._column(rows, 3)
        ids = self.doc_ids(rows)
        for place, text in enumerate(fields):
            if text and PASSAGE_OF in text:
                try:
                    ids[place] = str(json.loads(text).get(PASSAGE_OF, ids[place]))
                except (ValueError, AttributeError, RecursionError) as error:
                    raise unreadable(
                        error, self._path, what=f"the fields of document {rows[place]} can't be read"
                    ) from error
        return ids

    def kept(self, rows: npt.NDArray[np.bool_]) -> Iterator[Any]:
        """Yield the record batches with those rows alone that are marked. rows: bool, (len(self)). Raises as above."""
        for number, batch in enumerate(self._batches()):
            kept = rows[number * ROWS : (number + 1) * ROWS]
            yield batch if kept.all() else batch.filter(pa.array(kept))

    def column(self, name: str) -> Any:
        """Return a whole column: pyarrow, (len(self)). Raises IndexDamagedError where it is damaged."""
        return pa.chunked_array([batch.column(name) for batch in self._batches()], SCHEMA.field(name).type)

    def all_fields(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the fields of all documents, those of a record batch at a time. Raises IndexDamagedError."""
        for number, batch in enumerate(self._batches()):
            try:
                yield [json.loads(text) if text else {} for text in batch.column("fields").to_pylist()]
            except (ValueError, RecursionError) as error:
                raise unreadable(error, self._path, what=f"the fields of record batch {number} are damaged") from error

    def all_doc_ids(self) -> Iterator[list[str]]:
        """Yield all ids, those of a record batch at a time. Raises IndexDamagedError where anything is damaged."""
        for batch in self._batches():
            yield batch.column(0).to_pylist()

    def all_checksums(self) -> dict[str, npt.NDArray[Any]]:
        """Return the checksums that the documents have: see `DocumentChecksums.arrays`. Raises IndexDamagedError."""
        found = DocumentChecksums()
        for batch in self._batches():
            found.add(batch)
        return found.arrays

    def _batches(self) -> Iterator[Any]:
        """Yield all record batches, after the whole file was compared with its checksum once."""
        self._verify_file()
        for number in range(-(-self._n_docs // ROWS)):
            batch = self._batch(number)
            try:
                batch.validate(full=True)
            except (pa.ArrowException, ValueError) as error:
                raise unreadable(error, self._path, what=f"record batch {number} is damaged") from error
            yield batch

    def _verify_file(self) -> None:
        """Compare the whole file with its checksum, once."""
        if self._info is not None:
            if checksum(self._path) != self._info:
                raise self._damaged("its content is not what was written")
            self._info = None
