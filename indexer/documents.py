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

from lsr.errors import BadDocumentError, IndexDamagedError
from lsr.indexer.files import FileInfo, new_file
from lsr.indexer.manifest import REMEDY
from lsr.types import PASSAGE_OF, Document

ROWS = 1024
SCHEMA = pa.schema(
    [("doc_id", pa.string()), ("title", pa.string()), ("text", pa.large_string()), ("fields", pa.string())]
)


class DocumentWriter:
    """Writes documents to a new file."""

    def __init__(self, path: Path) -> None:
        self._stack = ExitStack()
        self._file = self._stack.enter_context(new_file(path))
        self._writer = self._stack.enter_context(pa.ipc.new_file(pa.PythonFile(self._file, "w"), SCHEMA))
        self._waiting: list[Document] = []
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
        self._writer.write_batch(pa.record_batch(columns, schema=SCHEMA))

    def close(self) -> FileInfo:
        """Write what waits, sync, and return size and checksum."""
        if self._waiting:
            self._write(self._waiting)
            self._waiting = []
        self._stack.close()
        return self._file.info

    def abandon(self) -> None:
        """Close a file that nobody will read."""
        self._waiting = []
        self._stack.close()


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
    """Reads the documents of a segment through mmap."""

    def __init__(self, path: Path, n_docs: int) -> None:
        self._path = path
        self._n_docs = n_docs
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
            batches = self._reader.num_record_batches
            fits = self._reader.schema == SCHEMA and batches == -(-n_docs // ROWS)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(f"not a readable document store ({error})") from error
        if not fits:
            raise self._damaged(f"does not hold the {n_docs} documents of the manifest")

    def __len__(self) -> int:
        return self._n_docs

    def _batch(self, number: int) -> Any:
        try:
            batch = self._reader.get_batch(number)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(f"record batch {number} can't be read ({error})") from error
        if batch.num_rows != min(ROWS, self._n_docs - number * ROWS):
            raise self._damaged(f"record batch {number} has {batch.num_rows} rows")
        return batch

    def _damaged(self, what: str) -> IndexDamagedError:
        return IndexDamagedError(f"{self._path}: {what}; {REMEDY}")

    def __getitem__(self, row: int) -> Document:
        found = self._batch(row // ROWS).slice(row % ROWS, 1)
        try:
            found.validate(full=True)  # the offsets of a damaged file could lead anywhere
            doc_id, title, text, fields = (column[0].as_py() for column in found.columns)
            return Document(doc_id, text, title, json.loads(fields) if fields else {})
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise self._damaged(f"document {row} can't be read ({error})") from error

    def doc_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows, reading each record batch once."""
        return self._column(rows, 0)

    def _column(self, rows: Sequence[int], number: int) -> list[Any]:
        """Return the values of a column, reading each record batch once."""
        batches: dict[int, Any] = {}
        values = []
        try:
            for row in rows:
                batch = row // ROWS
                if batch not in batches:
                    batches[batch] = self._batch(batch).column(number)
                    batches[batch].validate(full=True)
                values.append(batches[batch][row % ROWS].as_py())
        except (pa.ArrowException, ValueError) as error:
            raise self._damaged(f"a {SCHEMA.names[number]} can't be read ({error})") from error
        return values

    def document_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the id of the document that each row is, or is a passage of."""
        fields = self._column(rows, 3)
        ids = self.doc_ids(rows)
        for place, text in enumerate(fields):
            if text and PASSAGE_OF in text:
                try:
                    ids[place] = str(json.loads(text).get(PASSAGE_OF, ids[place]))
                except (ValueError, AttributeError) as error:
                    raise self._damaged(f"the fields of document {rows[place]} can't be read ({error})") from error
        return ids

    def all_doc_ids(self) -> Iterator[list[str]]:
        """Yield all ids, those of a record batch at a time. Raises IndexDamagedError where anything is damaged."""
        for number in range(-(-self._n_docs // ROWS)):
            batch = self._batch(number)
            try:
                batch.validate(full=True)
                yield batch.column(0).to_pylist()
            except (pa.ArrowException, ValueError) as error:
                raise self._damaged(f"record batch {number} is damaged ({error})") from error
