"""Encoding a corpus into an object store: a shard is one object, there whole or not at all.

`encode.json` is put first, where there is none; shards follow in their order, each by a put that only succeeds where
there is none. So the same command resumes after an interruption, and of two writers one gets an error.
"""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lsr.encoders.base import Encoder
from lsr.encoders.dense.base import DenseEncoder, JointEncoder
from lsr.errors import IndexMissingError, LsrError
from lsr.indexer.encode import units
from lsr.indexer.encode.columns import Columns
from lsr.indexer.encode.encode_corpus import job_of
from lsr.indexer.encode.resumable_job import FORMAT, JOB_FILE, ShardJob, check_job, job_content
from lsr.indexer.encode.shards import SOURCE_KEY, ShardWriter, SourceHash, shard_name
from lsr.indexer.encode.windows import MAX_DOCUMENTS, MAX_TOKENS, windows
from lsr.indexer.transfer.object_store import ExistsError, ObjectStore
from lsr.io.folder import Folder
from lsr.io.progress import NoProgress, Progress
from lsr.types import Document

_TAIL_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Stored:
    """A corpus as shards in a store. n_resumed: documents that an earlier run had encoded already."""

    url: str
    n_shards: int
    n_docs: int
    n_resumed: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """A shard that is in the store. source: the hash of the documents that it was made of."""

    n_docs: int
    source: str


def encode_to_store(
    documents: Iterable[Document],
    encoder: Encoder | DenseEncoder | JointEncoder,
    url: str,
    *,
    window: int = MAX_DOCUMENTS,
    with_text: bool = True,
    passages: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> Stored:
    """Encode documents into Parquet shards under a URL, from where it was left if it was interrupted.

    The arguments, and what is in a shard, are those of `encode_corpus`. Raises LsrError where the store refuses, where
    it holds another job, and where another writer puts a shard meanwhile.
    """
    legs, job = job_of(encoder, with_text=with_text, passages=passages)
    store = ObjectStore(url, to_write=True)
    listener = progress or NoProgress()
    done = _begun(store, job)
    listener.start("encoding", None, "document")
    stream = iter(documents)
    for number, kept in enumerate(done):
        source = SourceHash()
        source.update(islice(stream, kept.n_docs))
        if source.value() != kept.source:
            raise LsrError(
                f"{store.name}/{shard_name(number)}: the documents aren't those that it was made of: encode the "
                "changed corpus to another place"
            )
        listener.advance(kept.n_docs)
    cut = windows(stream, max_documents=window, max_tokens=MAX_TOKENS, text_length=legs.text_length)
    encoded = ((batch, job.columns(batch)) for batch in cut)
    number, n_docs = len(done), 0
    with tempfile.TemporaryDirectory(prefix="lsr-encode-") as folder:
        place = Folder.open(Path(folder).resolve())
        while n_written := _shard(store, place, number, encoded, listener):
            number, n_docs = number + 1, n_docs + n_written
    n_resumed = sum(kept.n_docs for kept in done)
    return Stored(store.name, number, n_docs + n_resumed, n_resumed)


def _begun(store: ObjectStore, job: ShardJob) -> list[_Kept]:
    """Record the job in the store, or check that it is the same; return the shards that are there."""
    entries = {entry.key: entry.size_bytes for entry in store.entries()}
    if JOB_FILE not in entries:
        if any(key.endswith(".parquet") for key in entries):
            raise LsrError(f"{store.name} holds Parquet files of something else: give an empty place")
        try:
            store.create(JOB_FILE, json.dumps(job_content(job), indent=2).encode())
        except ExistsError as error:
            raise _other_writer(store, JOB_FILE) from error
        return []
    try:
        found = json.loads(store.read(JOB_FILE))
        is_one = found["format"] == FORMAT and isinstance(found["encoder"], dict)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_one = False
    if not is_one:
        raise LsrError(f"{store.name}/{JOB_FILE} is no job of this program: encode to an empty place")
    check_job(store.name, found, job)
    kept: list[_Kept] = []
    while (key := shard_name(len(kept))) in entries:
        kept.append(_read(store, key, entries[key]))
    return kept


def _read(store: ObjectStore, key: str, size_bytes: int) -> _Kept:
    """Read what a shard says of itself, which is at its end."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        tail = store.end(key, size_bytes, _TAIL_BYTES)
        if len(tail) < 8:
            raise ValueError("it is too short")
        (footer_bytes,) = struct.unpack("<I", tail[-8:-4])
        if footer_bytes + 8 > len(tail):
            tail = store.end(key, size_bytes, footer_bytes + 8)
        metadata = pq.read_metadata(pa.BufferReader(tail))
        return _Kept(metadata.num_rows, metadata.metadata[SOURCE_KEY].decode())
    except IndexMissingError:
        raise
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise LsrError(f"{store.name}/{key} is no whole shard of this program ({error})") from error


def _shard(
    store: ObjectStore,
    place: Folder,
    number: int,
    encoded: Iterator[tuple[list[Document], Columns]],
    listener: Progress,
) -> int:
    """Write windows until a shard is full, and put it; return its number of documents, 0 if none are left."""
    file = place / shard_name(number)
    writer: ShardWriter | None = None
    try:
        for documents, columns in encoded:
            writer = writer or ShardWriter(file)
            writer.append(documents, columns)
            listener.advance(len(documents))
            if writer.n_docs >= units.SHARD_DOCUMENTS:
                break
    except BaseException:
        if writer is not None and writer.is_sound:
            _put(store, place, writer, file.name)  # what was encoded so far
        elif writer is not None:
            writer.abandon()
        raise
    if writer is None:
        return 0
    _put(store, place, writer, file.name)
    return writer.n_docs


def _put(store: ObjectStore, place: Folder, writer: ShardWriter, name: str) -> None:
    writer.close()
    with (place / name).open() as file:
        content = file.read()
    try:
        store.create(name, content)
    except ExistsError as error:
        raise _other_writer(store, name) from error
    place.remove_file(name)


def _other_writer(store: ObjectStore, key: str) -> LsrError:
    return LsrError(f"{store.name}: another writer has put {key} there in the meantime; run one at a time")
