"""Ready vectors out of Parquet files: columns `id`, `terms` or `term_ids`, `weights`; `title` and `text` if there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.types import Document, SparseBatch

ROWS = 4096
READY_VECTORS = "vectors"
"""The kind of encoder that a manifest names where there is none."""


class ReadyVectors:
    """Stands for an encoder where vectors come ready; its vocabulary is what they bring."""

    corpus_weighting = None
    description: Mapping[str, Any] = {"kind": READY_VECTORS, "name": "ready vectors", "query_side": "none"}

    def __init__(self) -> None:
        self.terms: list[str] = []
        self._ids: dict[str, int] = {}

    def term_id(self, term: str) -> int:
        """Return the id of a term, a new one if it hasn't been seen."""
        found = self._ids.get(term)
        if found is None:
            found = self._ids[term] = len(self.terms)
            self.terms.append(term)
        return found

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Refuse."""
        raise UsageError("an index of ready vectors takes vectors, not text")

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Refuse."""
        raise UsageError("an index of ready vectors takes encoded queries: --queries FILE")

    def save_query_side(self, folder: Path) -> None:
        """Nothing is needed: queries come encoded."""


def read_vectors(path: Path, term_id: Callable[[str], int | None]) -> Iterator[tuple[list[Document], SparseBatch, int]]:
    """Yield documents with their vectors, a few thousand at a time, and how many unknown terms were dropped.

    term_id: from string to id, None for a term to be dropped. Raises LsrError for a file without the
    columns, BadDocumentError for a row that isn't a sparse vector.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise LsrError(f"{path}: not a readable Parquet file ({error})") from error
    names = file.schema_arrow.names
    terms_column = next((name for name in ("terms", "term_ids") if name in names), None)
    if "id" not in names or terms_column is None or "weights" not in names:
        raise LsrError(f"{path}: has columns {', '.join(names)}; ready vectors have id, terms or term_ids, weights")
    columns = ["id", terms_column, "weights", *(name for name in ("title", "text") if name in names)]
    first_row = 0
    for batch in file.iter_batches(ROWS, columns=columns):
        where = f"{path}, row {first_row}"
        terms, weights = batch.column(terms_column), batch.column("weights")
        try:
            lengths = np.diff(terms.offsets.to_numpy())
            if (
                terms.null_count
                or weights.null_count
                or not np.array_equal(lengths, np.diff(weights.offsets.to_numpy()))
            ):
                raise BadDocumentError(f"{where} ff.: terms and weights differ in length, or are missing")
            flat = terms.flatten().dictionary_encode()
            ids = [term_id(str(term)) for term in flat.dictionary.to_pylist()]
            table = np.array([-1 if i is None else i for i in ids], np.int64)
            term_ids = table[flat.indices.to_numpy()] if len(flat) else np.empty(0, np.int64)
            values = weights.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        except (AttributeError, pa.ArrowInvalid, ValueError) as error:
            raise BadDocumentError(f"{where} ff.: not sparse vectors ({error})") from error
        vectors, dropped = _to_batch(lengths, term_ids, values, where)
        doc_ids = [str(value) for value in batch.column("id").to_pylist()]
        titles, texts = (
            [value or "" for value in batch.column(name).to_pylist()] if name in names else [""] * len(doc_ids)
            for name in ("title", "text")
        )
        yield [Document(*row) for row in zip(doc_ids, texts, titles, strict=True)], vectors, dropped
        first_row += len(doc_ids)


def _to_batch(lengths: Any, term_ids: Any, weights: Any, where: str) -> tuple[SparseBatch, int]:
    """Sort each row by term, drop unknown terms and zero weights, refuse what a vector can't hold."""
    bad = ~np.isfinite(weights) | (weights < 0)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    if bad.any():
        at = int(np.argmax(bad))
        raise BadDocumentError(f"{where} + {rows[at]}: weight {weights[at]}; weights must be finite and not negative")
    keep = (term_ids >= 0) & (weights > 0)
    dropped = int((term_ids < 0).sum())
    rows, term_ids, weights = rows[keep], term_ids[keep], weights[keep]
    order = np.lexsort((term_ids, rows))
    rows, term_ids, weights = rows[order], term_ids[order], weights[order]
    twice = (np.diff(rows) == 0) & (np.diff(term_ids) == 0)
    if twice.any():
        raise BadDocumentError(f"{where} + {rows[int(np.argmax(twice))]}: a term stands there twice")
    indptr = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(lengths)), out=indptr[1:])
    vocab_size = int(term_ids.max()) + 1 if len(term_ids) else 0
    return SparseBatch(indptr, term_ids.astype(np.int32), weights, vocab_size), dropped
