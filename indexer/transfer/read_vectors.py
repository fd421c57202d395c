"""Ready vectors out of Parquet files: columns `id`, `terms` or `term_ids`, `weights`; and OTHERS where they are."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from lsr.errors import BadDocumentError, LsrError
from lsr.indexer.integrity.parquet_limits import MOST_ROWS, UnpacksTooMuchError, plain_batches, text_columns
from lsr.io.plain_file import open_regular
from lsr.types import Document, SparseBatch

SCALE_KEY = b"lsr.scale"
"""Metadata of a file of vectors that came out of an index: the weight that one impact stands for."""
OTHERS = ("title", "text", "fields")
"""Columns that a file of vectors may have too; `fields` holds JSON objects, or is a struct."""


def read_vectors(
    path: Path, term_id: Callable[[str], int | None], *, n_known: int | None = None
) -> Iterator[tuple[list[Document], SparseBatch, int]]:
    """Yield documents with their vectors, a few thousand at a time, and how many unknown terms were dropped.

    term_id: from string to id, None for a term to be dropped; a column `term_ids` is looked up by its numbers
    as text, or, given n_known, holds ids below that as they are. Raises LsrError for a file without the
    columns or beyond the limits of `parquet_limits`, BadDocumentError for a row that isn't a sparse vector.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        os.close(open_regular(path))  # a FIFO would be waited for
        texts = text_columns(path, path.stat().st_size)
        with pq.ParquetFile(path, read_dictionary=texts.names) as file:
            names = file.schema_arrow.names
            terms_column = next((name for name in ("terms", "term_ids") if name in names), None)
            if "id" not in names or terms_column is None or "weights" not in names:
                raise LsrError(
                    f"{path}: has the columns {', '.join(names)}; ready vectors have id, terms or term_ids, weights"
                )
            columns = ["id", terms_column, "weights", *(name for name in OTHERS if name in names)]
            as_they_are = n_known if terms_column == "term_ids" else None
            first_row = 1
            for batch in plain_batches(file.iter_batches(min(MOST_ROWS, texts.most_rows), columns=columns)):
                yield _Rows(path, first_row, batch, terms_column).read(term_id, as_they_are)
                first_row += batch.num_rows
    except UnpacksTooMuchError as error:
        raise LsrError(f"{path}: {error}") from None
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise LsrError(f"{path}: not a readable Parquet file ({reason})") from error


def stored_scale(files: Sequence[Path]) -> float | None:
    """Return the scale that is recorded in all these files of vectors; None if they lack it, or differ.

    A file that can't be read has none: reading it will say so.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    scales: set[float | None] = set()
    for path in files:
        try:
            scales.add(float(dict(pq.read_schema(path).metadata or {})[SCALE_KEY]))
        except (OSError, pa.ArrowException, KeyError, ValueError):
            scales.add(None)
    scale = scales.pop() if len(scales) == 1 else None
    return scale if scale is not None and 0 < scale < math.inf else None


class _Rows:
    """Some consecutive rows of a file of vectors. first_row: counted from 1."""

    def __init__(self, path: Path, first_row: int, batch: Any, terms_column: str) -> None:
        self._path = path
        self._first_row = first_row
        self._batch = batch
        self._terms_column = terms_column

    def read(
        self, term_id: Callable[[str], int | None], n_known: int | None
    ) -> tuple[list[Document], SparseBatch, int]:
        """Return documents, vectors, and how many terms were dropped."""
        documents = self._documents()
        terms, lengths = self._lists(self._terms_column)
        weights, weight_lengths = self._lists("weights")
        if not np.array_equal(lengths, weight_lengths):
            row = int(np.argmax(lengths != weight_lengths))
            self._refuse(row, f"{lengths[row]} terms, but {weight_lengths[row]} weights")
        term_ids = self._term_ids(terms, term_id) if n_known is None else self._numbers(terms, lengths, n_known)
        return documents, *self._vectors(lengths, term_ids, self._floats(weights, lengths))

    def _refuse(self, row: int, why: str) -> NoReturn:
        raise BadDocumentError(f"{self._path}, row {self._first_row + row:,}: {why}; mend the file")

    def _documents(self) -> list[Document]:
        ids = self._batch.column("id").to_pylist()
        if None in ids or "" in ids:
            self._refuse(next(i for i, value in enumerate(ids) if value in (None, "")), "it has no id")
        columns = zip(*(self._texts(name, len(ids)) for name in ("text", "title")), self._fields(len(ids)), strict=True)
        return [Document(self._id(row, i), *values) for row, (i, values) in enumerate(zip(ids, columns, strict=True))]

    def _id(self, row: int, value: Any) -> str:
        """Return an id as readers of texts make it: 1239.0 is 1239."""
        from lsr.indexer.corpus.doc_ids import fit_doc_id
        from lsr.indexer.corpus.intake import RecordError
        from lsr.indexer.corpus.records import id_text

        if isinstance(value, str):
            return fit_doc_id(value)
        try:
            return fit_doc_id(id_text(value))
        except RecordError as error:
            self._refuse(row, str(error))

    def _fields(self, n_rows: int) -> list[dict[str, Any]]:
        """Return the documents' fields: JSON objects, where the file has such a column."""
        if "fields" not in self._batch.schema.names:
            return [{} for _ in range(n_rows)]
        found: list[dict[str, Any]] = []
        for row, value in enumerate(self._batch.column("fields").to_pylist()):
            try:
                fields = json.loads(value) if isinstance(value, str) and value else value or {}
            except (ValueError, RecursionError) as error:
                self._refuse(row, f"its fields are no JSON ({error})")
            if not isinstance(fields, dict):
                self._refuse(row, f"its fields are {value!r:.80}, not a JSON object")
            found.append(fields)
        return found

    def _texts(self, name: str, n_rows: int) -> list[str]:
        if name not in self._batch.schema.names:
            return [""] * n_rows
        return ["" if value is None else str(value) for value in self._batch.column(name).to_pylist()]

    def _lists(self, name: str) -> tuple[Any, npt.NDArray[np.int64]]:
        """Return the values of a column of lists, one after another, and how many each row has."""
        import pyarrow as pa

        column = self._batch.column(name)
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
            self._refuse(0, f"the column {name} holds {column.type}, not lists")
        if column.null_count:
            self._refuse(int(np.argmax(column.is_null().to_numpy(zero_copy_only=False))), f"it has no {name}")
        values = column.flatten()
        lengths = np.diff(column.offsets.to_numpy()).astype(np.int64)
        if values.null_count:
            at = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
            self._refuse(_row_of(at, lengths), f"one of its {name} is missing")
        return values, lengths

    def _term_ids(self, terms: Any, term_id: Callable[[str], int | None]) -> npt.NDArray[np.int64]:
        """Return each term's id, -1 for one to be dropped; every distinct term is looked up once."""
        if len(terms) == 0:
            return np.empty(0, np.int64)
        coded = terms.dictionary_encode()
        ids = [term_id(str(term)) for term in coded.dictionary.to_pylist()]
        table = np.array([-1 if i is None else i for i in ids], np.int64)
        found: npt.NDArray[np.int64] = table[coded.indices.to_numpy()]
        return found

    def _numbers(self, terms: Any, lengths: npt.NDArray[np.int64], n_known: int) -> npt.NDArray[np.int64]:
        import pyarrow as pa

        if not pa.types.is_integer(terms.type):
            self._refuse(0, f"the column {self._terms_column} holds {terms.type}, not whole numbers")
        numbers: npt.NDArray[Any] = terms.to_numpy(zero_copy_only=False)
        outside = (numbers < 0) | (numbers >= n_known)
        if outside.any():
            at = int(np.argmax(outside))
            self._refuse(_row_of(at, lengths), f"term id {numbers[at]}; the encoder's are 0 … {n_known - 1}")
        return numbers.astype(np.int64)

    def _floats(self, weights: Any, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        import pyarrow as pa

        if not (pa.types.is_integer(weights.type) or pa.types.is_floating(weights.type)):
            self._refuse(0, f"the column weights holds {weights.type}, not numbers")
        with np.errstate(over="ignore"):
            floats: npt.NDArray[np.float32] = weights.to_numpy(zero_copy_only=False).astype(np.float32)
        bad = ~np.isfinite(floats) | (floats < 0)
        if bad.any():
            at = int(np.argmax(bad))
            self._refuse(_row_of(at, lengths), f"weight {weights[at]}; weights must be finite and not negative")
        return floats

    def _vectors(
        self, lengths: npt.NDArray[np.int64], term_ids: npt.NDArray[np.int64], weights: npt.NDArray[np.float32]
    ) -> tuple[SparseBatch, int]:
        """Sort each row by term, and drop unknown terms and zero weights."""
        rows = np.repeat(np.arange(len(lengths)), lengths)
        keep = (term_ids >= 0) & (weights > 0)
        dropped = int((term_ids < 0).sum())
        rows, term_ids, weights = rows[keep], term_ids[keep], weights[keep]
        order = np.lexsort((term_ids, rows))
        rows, term_ids, weights = rows[order], term_ids[order], weights[order]
        twice = (np.diff(rows) == 0) & (np.diff(term_ids) == 0)
        if twice.any():
            self._refuse(int(rows[int(np.argmax(twice))]), "a term is there twice")
        indptr = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(np.bincount(rows, minlength=len(lengths)), out=indptr[1:])
        vocab_size = int(term_ids.max()) + 1 if len(term_ids) else 0
        return SparseBatch(indptr, term_ids.astype(np.int32), weights, vocab_size), dropped


def _row_of(position: int, lengths: npt.NDArray[np.int64]) -> int:
    return int(np.searchsorted(np.cumsum(lengths), position, side="right"))
