"""Shards beside an index that is being made: what an interrupted `lsr index` has encoded is not encoded again.

They are in a separate folder until the index is committed, and hold documents whole, with their fields, so that
the corpus is read once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsr.errors import LsrError
from lsr.indexer.encode.columns import Columns, dense_columns, field_columns, numbered_columns, text_columns
from lsr.indexer.encode.document_encoders import Legs
from lsr.indexer.encode.resumable_job import (
    OtherJobError,
    ShardJob,
    forget_job,
    forget_shards,
    is_job,
    kept_documents,
    run_job,
    writing,
)
from lsr.indexer.encode.units import ChangedCorpusError, Workers
from lsr.indexer.encode.windows import MAX_DOCUMENTS
from lsr.indexer.integrity.damage import OutOfResourcesError, lack_of
from lsr.indexer.integrity.parquet_limits import UnpacksTooMuchError
from lsr.indexer.integrity.parquet_limits import text_columns as check_expansion
from lsr.indexer.storage.dense_vectors import Halves
from lsr.indexer.storage.files import arrow_source
from lsr.io.folder import Folder
from lsr.io.progress import Progress
from lsr.types import Document, SparseBatch

SHARD_SECONDS = 60.0
"""Time that a killed process loses at most; an interrupted one loses a window."""
ROWS = 1024

Batch = tuple[list[Document], SparseBatch | None, Halves | None]
log = logging.getLogger(__name__)


def staging_folder(index: Path) -> Path:
    """Return the folder of the shards of a future index: beside it."""
    index = index.absolute()
    return index.with_name(f"{index.name}.partial")


_MALFORMED = (LookupError, ValueError, TypeError, AttributeError, RecursionError)
"""Errors of a shard whose columns are none of ours."""


class Staging:
    """The shards of one index, from the first document to the commit.

    A context manager: left by an exception it keeps what was encoded, and says so; else it removes it.

    legs: what encodes; a leg that is None is left to the caller. settings: what else decides the shards.
    with_documents: whether titles, texts and fields are wanted back. n_documents: how many there are, if that is
    known. workers: other processes that encode (default: this one).
    """

    def __init__(
        self,
        index: Path,
        legs: Legs,
        *,
        settings: Mapping[str, Any],
        with_documents: bool = True,
        n_documents: int | None = None,
        progress: Progress | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.folder = staging_folder(index)
        self._legs = legs
        self._with_documents = with_documents
        self._n_documents = n_documents
        self._progress = progress
        self._workers = workers
        of_legs = {"sparse": legs.sparse is not None, "dense": legs.dense is not None}
        described = legs.description if workers is None else workers.description
        self._job = ShardJob(described, {"staged": of_legs, **settings}, self._columns)

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        try:
            n_docs = 0 if kind is None else kept_documents(self.folder)
        except OutOfResourcesError:  # what was encoded stays
            return
        if n_docs == 0:
            try:
                forget_job(self.folder)
            except OSError as error:  # the index is committed, or another error is on its way
                log.warning(f"{self.folder} can't be removed ({error.strerror or error}); remove it")
            return
        log.info(
            f"{n_docs:,} documents are encoded: they are kept in {self.folder}, and the same command resumes from them"
        )

    def encode(self, documents: Callable[[], Iterable[Document]]) -> tuple[Path, ...]:
        """Encode all documents that earlier runs have not; return the shards, in order.

        documents: reads the corpus from its start, and is called again if it turns out to be another than before.
        Raises what `run_job` raises.
        """
        if n_docs := kept_documents(self.folder):
            log.info(f"an interrupted run has encoded {n_docs:,} documents: those still the same are not encoded again")
        while True:
            try:
                return run_job(
                    documents(),
                    self._job,
                    self._made(),
                    window=MAX_DOCUMENTS,
                    text_length=self._legs.text_length,
                    shard_seconds=SHARD_SECONDS,
                    n_documents=self._n_documents,
                    progress=self._progress,
                    workers=self._workers,
                ).shards
            except ChangedCorpusError as error:
                with writing(self.folder):
                    forget_shards(self.folder, error.number)
                kept = kept_documents(self.folder)
                log.info(
                    f"the corpus has changed since the interrupted run: {kept:,} documents are the same, from there on "
                    "it is encoded again"
                )
            except OtherJobError as error:
                if not is_job(self.folder):
                    raise
                with writing(self.folder):
                    forget_job(self.folder)
                log.info(f"what an earlier run left doesn't fit ({error}): encoding again")

    def _made(self) -> Folder:
        """Open the folder, made if need be; through a link it isn't reached, since nobody has named it."""
        with writing(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            return Folder.open(self.folder.parent).make_folder(self.folder.name, exist_ok=True)

    def _columns(self, documents: Sequence[Document]) -> Columns:
        return staged_columns(self._legs, documents, with_documents=self._with_documents)

    def read(self, shard: Path) -> Iterator[Batch]:
        """Yield what a shard holds, some documents at a time; no documents where they weren't wanted back.

        Raises LsrError if it can't be read.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            folder = Folder.open(self.folder.parent).folder(self.folder.name)
            # Nobody else may have written it, but a stranger can have put a folder here.
            with folder.open_file(shard.name) as opened:
                check_expansion(opened, folder.size_bytes(shard.name))
            with pq.ParquetFile(arrow_source(folder / shard.name)) as file:
                for rows in file.iter_batches(ROWS):
                    rows.validate(full=True)
                    yield _documents(rows) if self._with_documents else [], self._sparse(rows), _dense(rows)
        except (OSError, pa.ArrowException, UnpacksTooMuchError, *_MALFORMED) as error:
            if lacking := lack_of(error, shard):
                raise lacking from error
            raise LsrError(f"{shard} can't be read ({error}): remove {self.folder} and index again") from error

    def _sparse(self, rows: Any) -> SparseBatch | None:
        if self._legs.sparse is None:
            return None
        lists, weights = rows.column("term_ids"), rows.column("weights")
        offsets = lists.offsets.to_numpy().astype(np.int64)
        batch = SparseBatch(
            offsets - offsets[0],
            lists.flatten().to_numpy().astype(np.int32),
            weights.flatten().to_numpy().astype(np.float32),
            len(self._legs.sparse.terms),
        )
        batch.check()
        return batch


def staged_columns(legs: Legs, documents: Sequence[Document], *, with_documents: bool = True) -> Columns:
    """Encode documents, and return the columns of a staged shard."""
    vectors = legs.encode(documents)
    found: dict[str, Any] = {}
    if with_documents:
        found |= text_columns(documents) | field_columns(documents)
    if vectors.sparse is not None:
        found |= numbered_columns(vectors.sparse)
    if vectors.dense is not None:
        found |= dense_columns(vectors.dense, documents)
    return found


def _documents(rows: Any) -> list[Document]:
    """Return the documents of some rows. Raises LookupError, ValueError for rows that are none."""
    columns = [rows.column(name).to_pylist() for name in ("id", "text", "title", "fields")]
    if not all(type(value) is str for column in columns[:3] for value in column):
        raise ValueError("a text is none")
    return [
        Document(doc_id, text, title, _fields(fields)) for doc_id, text, title, fields in zip(*columns, strict=True)
    ]


def _fields(text: str | None) -> dict[str, Any]:
    fields = json.loads(text) if text else {}
    if not isinstance(fields, dict):
        raise ValueError("fields are no object")
    return fields


def _dense(rows: Any) -> Halves | None:
    if "vector" not in rows.schema.names:
        return None
    halves: Halves = rows.column("vector").flatten().to_numpy().reshape(rows.num_rows, -1)
    return halves
