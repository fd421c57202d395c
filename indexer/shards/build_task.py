"""Building of one shard of a set out of what was collected for all, in whatever process.

The process that collects agrees on scale and statistics and writes what the others need beside it: which shard each row
goes to, the lengths of rows, the vocabulary and the query side of the encoder. A task reads its rows by mmap, builds
its shard under a name aside, and renames it, so that it may be killed and begun again at any moment.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.encoders.runtime import with_runtime
from lsr.errors import LsrError
from lsr.indexer.encode.matrix import open_matrix
from lsr.indexer.shards.rows import taken
from lsr.indexer.storage.dense_vectors import FILE as DENSE_FILE
from lsr.indexer.storage.documents import DocumentStore
from lsr.indexer.storage.files import DOCUMENTS, map_numbers
from lsr.indexer.storage.vocabulary import Vocabulary, save_vocabulary
from lsr.indexer.write.segment_builder import Pending
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.indexer.write.writer import IndexWriter, Weights
from lsr.io.folder import Folder
from lsr.types import SparseBatch

SETTINGS, NUMBERS, ENCODER, VOCABULARY, LENGTHS = "build.json", "shard_of_row.spool", "encoder", "terms", "lengths"
COPIED_AT_ONCE = 1024
"""Documents that are taken out of what was collected at a time."""


@dataclass(frozen=True, slots=True)
class BuildTask:
    """One shard to build. scratch: folder with what was collected. name: of the shard's folder there."""

    scratch: str
    name: str
    number: int


class Builders(Protocol):
    """Processes that build shards. threads: of each."""

    threads: int

    def build(self, tasks: Sequence[BuildTask]) -> None:
        """Run `build_shard` for each task. Raises LsrError."""
        ...


class Settings(NamedTuple):
    """Settings that all tasks share. segments: collected ones: folder, documents, folder of dense vectors."""

    description: Mapping[str, Any]
    segments: Sequence[tuple[str, int, str | None]]
    scale: float
    statistics: Mapping[str, float]
    dense: Mapping[str, Any] | None
    passages: Mapping[str, int] | None
    limits: Mapping[str, int]
    prune: float | None
    reorder: bool
    threads: int
    with_positions: bool


def hand_out(
    scratch: Folder, collected: Sequence[Pending], shard_of_row: npt.NDArray[np.int32], encoder: Encoder,
    weights: Weights, **settings: Any,
) -> None:  # fmt: skip
    """Write what tasks need beside what was collected. settings: the others of `Settings`."""
    segments = []
    for pending in collected:
        _write(pending.folder, LENGTHS, np.diff(pending.rows.indptr).astype(np.int64))
        segments.append((pending.folder.path.name, pending.n_docs, None if pending.dense is None else
                         pending.dense.folder.path.name))  # fmt: skip
        if pending.dense is not None:
            pending.dense.written()
    _write(scratch, NUMBERS, shard_of_row)
    save_vocabulary(scratch.make_folder(VOCABULARY), encoder.terms)
    encoder.save_query_side(scratch.make_folder(ENCODER).path)
    found = Settings(with_runtime(encoder.description, encoder), segments, *weights, **settings)
    limits = asdict(found.limits)  # type: ignore[call-overload]
    with (scratch / SETTINGS).create() as file:
        file.write(json.dumps(found._replace(limits=limits)._asdict()).encode())


def _write(folder: Folder, name: str, numbers: npt.NDArray[Any]) -> None:
    with (folder / name).create() as file:
        file.write(np.ascontiguousarray(numbers).data)


class _StoredEncoder:
    """The encoder of a set as far as building needs it: its terms, its description and its query side."""

    corpus_weighting = None

    def __init__(self, scratch: Folder, description: Mapping[str, Any]) -> None:
        self.terms = list(Vocabulary(scratch.folder(VOCABULARY)))
        self.description = description
        self._query_side = scratch.folder(ENCODER).path

    def save_query_side(self, folder: Path) -> None:
        """Copy the files."""
        shutil.copytree(self._query_side, folder, dirs_exist_ok=True)


class _Collected:
    """The rows of one shard in one collected segment."""

    def __init__(self, scratch: Folder, segment: tuple[str, int, str | None], mine: npt.NDArray[np.bool_]) -> None:
        name, self.n_docs, dense = segment
        folder = scratch.folder(name)
        self.mine = mine
        self.rows = np.flatnonzero(mine)
        self._documents = DocumentStore(folder / DOCUMENTS, self.n_docs)
        lengths = map_numbers(folder / LENGTHS, np.int64)
        indptr = np.zeros(self.n_docs + 1, np.int64)
        np.cumsum(lengths, out=indptr[1:])
        n_postings = int(indptr[-1])

        def mapped(file: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
            return map_numbers(folder / file, dtype) if n_postings else np.empty(0, dtype)

        self._indptr, self._term_ids = indptr, mapped("term_ids.spool", np.int32)
        self._weights = mapped("weights.spool", np.float32)
        self.has_counts = folder.has_file("counts.spool")
        self._counts = mapped("counts.spool", np.float32) if self.has_counts else self._weights
        self._dense = None if dense is None else open_matrix(scratch.folder(dense) / DENSE_FILE)

    def batches(self, n_terms: int) -> Iterator[tuple[list[Any], SparseBatch, Any, npt.NDArray[np.int64]]]:
        """Yield documents, their vectors (counts, where weights depend on the corpus), dense ones, and rows."""
        documents = self._documents.some(self.mine)
        for first in range(0, len(self.rows), COPIED_AT_ONCE):
            rows = self.rows[first : first + COPIED_AT_ONCE]
            vectors = taken(SparseBatch(self._indptr, self._term_ids, self._counts, n_terms), rows)
            yield list(islice(documents, len(rows))), vectors, None if self._dense is None else self._dense[rows], rows

    def weights(self, rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the weights of some rows."""
        for first in range(0, len(rows), COPIED_AT_ONCE):
            some = SparseBatch(self._indptr, self._term_ids, self._weights, 0)
            yield taken(some, rows[first : first + COPIED_AT_ONCE]).weights


def build_shard(task: BuildTask) -> None:
    """Build a shard: afterwards it is in the scratch folder under its name. Raises LsrError."""
    scratch = Folder.open(Path(task.scratch))
    if scratch.kind(task.name) is not None:  # a try that was thought to be dead has ended well
        return
    with (scratch / SETTINGS).open() as file:
        content = json.loads(file.read())
    content["limits"] = SegmentLimits(**content["limits"])
    settings = Settings(**content)
    encoder: Any = _StoredEncoder(scratch, settings.description)
    aside = f"{task.name}-{secrets.token_hex(6)}"
    options: dict[str, Any] = {
        "reorder": settings.reorder, "threads": settings.threads, "dense": settings.dense,
        "passages": settings.passages, "limits": settings.limits, "prune": settings.prune,
    }  # fmt: skip
    with IndexWriter(scratch.path / aside, encoder, **options) as writer:
        pending = _collect(writer, scratch, settings, task.number, len(encoder.terms))
        writer.build(pending, Weights(settings.scale, settings.statistics))
    try:
        scratch.rename(aside, task.name)
    except OSError as error:
        if scratch.kind(task.name) is None:
            raise LsrError(f"{scratch.path / task.name}: can't be put into its place ({error.strerror})") from error
        scratch.remove_tree(aside)


def _collect(writer: IndexWriter, scratch: Folder, settings: Settings, number: int, n_terms: int) -> list[Pending]:
    """Give a writer the rows of a shard. What is mapped for it counts as this process's memory until this returns."""
    shard_of_row = map_numbers(scratch / NUMBERS, np.int32) if settings.segments else np.empty(0, np.int32)
    before, parts = 0, []
    for name, n_docs, dense in settings.segments:
        part = _Collected(scratch, (name, n_docs, dense), shard_of_row[before : before + n_docs] == number)
        for documents, vectors, halves, rows in part.batches(n_terms):
            writer.place_at(documents, vectors, halves, rows + before if settings.with_positions else None)
        parts.append(part)
        before += n_docs
    pending = writer.finish()
    if any(part.has_counts for part in parts):
        _weigh(pending, parts)
    return pending


def _weigh(pending: Sequence[Pending], parts: Sequence[_Collected]) -> None:
    """Put the agreed weights of a shard's rows in the place of their counts."""
    places = [(part, row) for part in parts for row in part.rows.tolist()]
    done = 0
    for one in pending:
        mine, done = places[done : done + one.n_docs], done + one.n_docs

        def pieces(mine: Sequence[tuple[_Collected, int]] = mine) -> Iterator[npt.NDArray[np.float32]]:
            for part in parts:
                rows = np.array([row for of, row in mine if of is part], np.int64)
                yield from part.weights(rows)

        one.replace_weights(pieces())
