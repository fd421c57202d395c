"""Table of examples on the disk, opened by mmap.

A folder with `documents.arrow` (as in an index), `examples.arrow` (query, rows of documents, scores) and `meta.json`.
A row counts in the folder's own documents, or, as ~row, in those of a corpus that several tables may share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lsr.errors import LsrError
from lsr.indexer.storage.documents import DocumentStore, DocumentWriter
from lsr.training.data.example import Example
from lsr.types import Document

ROWS = 1024
DOCUMENTS, EXAMPLES, META = "documents.arrow", "examples.arrow", "meta.json"


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema([("query", pa.string()), ("rows", pa.list_(pa.int64())), ("scores", pa.list_(pa.float32()))])


class TableWriter:
    """Writer of a table into an empty folder; a context manager, at whose end the table is complete."""

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        self._folder = folder
        self._documents = DocumentWriter(folder / DOCUMENTS)
        self._file = pa.OSFile(str(folder / EXAMPLES), "wb")
        self._examples = pa.ipc.new_file(self._file, _schema())
        self._waiting: list[tuple[str, list[int], Sequence[float] | None]] = []
        self._n_examples = 0
        self.meta: dict[str, Any] = {}

    def document(self, document: Document) -> int:
        """Add a document and return its row."""
        self._documents.append([document])
        return self._documents.n_docs - 1

    def example(self, query: str, rows: list[int], scores: Sequence[float] | None) -> None:
        """Add an example; see the module for rows."""
        self._waiting.append((query, rows, scores))
        self._n_examples += 1
        if len(self._waiting) >= ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        values = zip(*self._waiting, strict=True)
        columns = [pa.array(list(column), field.type) for column, field in zip(values, _schema(), strict=True)]
        self._examples.write_batch(pa.record_batch(columns, schema=_schema()))
        self._waiting = []

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush, and write the metadata last."""
        if kind is not None:
            self._documents.abandon()
            self._examples.close()
            self._file.close()
            return
        if self._waiting:
            self._flush()
        self._examples.close()
        self._file.close()
        n_docs = self._documents.n_docs
        self._documents.close()
        meta = {"n_examples": self._n_examples, "n_docs": n_docs, **self.meta}
        (self._folder / META).write_text(json.dumps(meta), encoding="utf-8")


class ExampleTable:
    """Reader of a table: random access by mmap. Pickled as its path."""

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        self.folder = folder
        try:
            self.meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
            self._reader = pa.ipc.open_file(pa.memory_map(str(folder / EXAMPLES)))
            self.documents = DocumentStore(folder / DOCUMENTS, self.meta["n_docs"])
            corpus = self.meta.get("corpus")
            self.corpus = None if corpus is None else DocumentStore(Path(corpus["path"]), corpus["n_docs"])
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise LsrError(f"{folder}: the prepared examples can't be read ({error}): remove that folder") from error
        self._batches: dict[int, Any] = {}

    def __reduce__(self) -> tuple[type[ExampleTable], tuple[Path]]:
        return ExampleTable, (self.folder,)

    def __len__(self) -> int:
        return int(self.meta["n_examples"])

    def __getitem__(self, i: int) -> Example:
        if not 0 <= i < len(self):
            raise IndexError(f"example {i} of {len(self)}")
        query, rows, scores = self._row(i)
        return Example(query, tuple(self.document(row) for row in rows), None if scores is None else tuple(scores))

    def document(self, row: int) -> Document:
        """Return the document of a row."""
        if row >= 0:
            return self.documents[row]
        assert self.corpus is not None
        return self.corpus[~row]

    def queries(self) -> Iterator[tuple[str, list[int]]]:
        """Yield each example's query and the rows of its documents."""
        for number in range(self._reader.num_record_batches):
            batch = self._reader.get_batch(number)
            yield from zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)

    def _row(self, i: int) -> list[Any]:
        batch = self._batches.get(i // ROWS)
        if batch is None:
            batch = self._batches[i // ROWS] = self._reader.get_batch(i // ROWS)
        return [column[i % ROWS].as_py() for column in batch.columns]
