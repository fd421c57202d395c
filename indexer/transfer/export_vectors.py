"""The vectors of an index into a Parquet file that `lsr index --vectors` makes the same index of."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lsr.errors import LsrError
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.segment import Segment
from lsr.indexer.transfer.archive import written
from lsr.indexer.transfer.read_vectors import SCALE_KEY
from lsr.indexer.update.reweigh import stored_rows

ROWS = 4096
ENCODER_KEY = b"lsr.encoder"
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("terms", pa.list_(pa.string())),
        ("weights", pa.list_(pa.float32())),
        ("title", pa.string()),
        ("text", pa.large_string()),
        ("fields", pa.string()),
    ]
)


def export_vectors(path: str | Path, target: Path, *, overwrite: bool = False) -> int:
    """Write all documents with their vectors, in the order in which they were added; return how many.

    A weight is an impact times the index's scale, which is in the file's metadata, so that indexing it again gives
    the same impacts. Raises as `export_index`.
    """
    with StoredIndex.open(path) as index:
        terms = _terms(index)
        metadata = {
            SCALE_KEY: repr(index.manifest.scale).encode(),
            ENCODER_KEY: json.dumps(dict(index.manifest.encoder)).encode(),
        }
        with (
            written(target, overwrite=overwrite) as file,
            pq.ParquetWriter(file, SCHEMA.with_metadata(metadata), compression="zstd") as writer,
        ):
            found = [_batches(segment, terms, index.manifest.scale) for segment in index.segments]
            batches = chain.from_iterable(found) if index.places.is_sequential else in_order(index, found)
            for batch in batches:
                writer.write_batch(batch)
        return len(index)


def in_order(index: StoredIndex, found: Sequence[Iterator[Any]]) -> Iterator[Any]:
    """Yield the rows of each segment's batches by their positions in the index, a row at a time."""

    def placed(number: int, batches: Iterator[Any]) -> Iterator[tuple[int, Any]]:
        positions = index.places.at(number, np.flatnonzero(index.segments[number].live_rows)).tolist()
        rows = (batch.slice(row, 1) for batch in batches for row in range(batch.num_rows))
        return zip(positions, rows, strict=True)

    merged = (row for _, row in heapq.merge(*itertools.starmap(placed, enumerate(found)), key=lambda pair: pair[0]))
    while some := list(islice(merged, ROWS)):
        yield pa.Table.from_batches(some).combine_chunks().to_batches()[0]


def _terms(index: StoredIndex) -> Any:
    try:
        return pa.array(list(index.vocabulary), pa.string())
    except UnicodeEncodeError as error:
        raise LsrError(
            f"the index at {index.path} has the term {error.object!r:.60}, which a Parquet file can't hold: 'lsr "
            "export' without --vectors can"
        ) from error


def left_out(index: StoredIndex) -> list[str]:
    """Return what of an index such a file doesn't hold, a sentence each, and how to have it nevertheless."""
    found = []
    if index.manifest.passages is not None:
        found.append("passages are documents of their own in it; a file without --vectors keeps them together")
    if index.manifest.dense is not None:
        found.append("dense vectors are not in it; a file without --vectors has them")
    return found


def _batches(segment: Segment, terms: Any, scale: float) -> Iterator[Any]:
    from lsr.kernels.build.forward import take_rows

    indptr, local, impacts = stored_rows(segment)
    doc_ords = np.empty(segment.n_docs, np.int64)
    doc_ords[segment.arrays["insertion"]] = np.arange(segment.n_docs)
    lengths = np.diff(indptr)
    left = segment.documents.some(segment.live_rows)
    in_order = doc_ords[segment.live_rows]
    for first in range(0, len(in_order), ROWS):
        order = in_order[first : first + ROWS]
        documents = list(islice(left, ROWS))
        offsets = np.concatenate([[0], np.cumsum(lengths[order])]).astype(np.int32)
        term_ids: npt.NDArray[Any] = segment.terms[take_rows(order, indptr, local)]
        weights = (take_rows(order, indptr, impacts) * np.float64(scale)).astype(np.float32)
        yield pa.record_batch(
            [
                pa.array([document.doc_id for document in documents], pa.string()),
                pa.ListArray.from_arrays(offsets, terms.take(pa.array(term_ids))),
                pa.ListArray.from_arrays(offsets, pa.array(weights)),
                pa.array([document.title for document in documents], pa.string()),
                pa.array([document.text for document in documents], pa.large_string()),
                pa.array([json.dumps(dict(d.fields)) if d.fields else None for d in documents], pa.string()),
            ],
            schema=SCHEMA,
        )
