"""Encoding a corpus into a folder of shards, from where it was left if it was interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder
from lsr.encoders.dense_base import DenseEncoder, JointEncoder
from lsr.encoders.registry import check_same
from lsr.errors import LsrError, UsageError
from lsr.indexer.encode.columns import Columns, columns_of
from lsr.indexer.encode.shards import Shard, ShardWriter, SourceHash, read_shard, shard_path
from lsr.indexer.encode.window import MAX_DOCUMENTS, windows
from lsr.indexer.files import sync_folder
from lsr.indexer.lock import writer_lock
from lsr.indexer.progress import Progress, Silence
from lsr.types import Document

JOB_FILE = "encode.json"
FORMAT = 1
SHARD_DOCUMENTS = 4096
"""Documents of a shard, or a window more."""


@dataclass(frozen=True, slots=True)
class EncodedCorpus:
    """A corpus as shards. n_resumed: documents that an earlier run had encoded already."""

    folder: Path
    shards: tuple[Path, ...]
    n_docs: int
    n_resumed: int


def encode_corpus(
    documents: Iterable[Document],
    encoder: Encoder | DenseEncoder | JointEncoder,
    folder: Path,
    *,
    window: int = MAX_DOCUMENTS,
    with_text: bool = True,
    progress: Progress | None = None,
) -> EncodedCorpus:
    """Encode documents into Parquet shards in `folder`; memory doesn't grow with their number.

    The encoder may be sparse, dense, or joint: then a shard holds both vectors.
    A folder that holds the beginning of the same job is gone on with: what stands there is neither lost nor
    encoded again. window: documents that are sorted by length and encoded together. with_text: keep titles and
    texts too. Raises UsageError for an encoder whose weights need the whole corpus, LsrError if the folder holds
    another job, or the documents aren't those that it was begun with.
    """
    columns = columns_of(encoder)
    if window < 1:
        raise UsageError(f"window is {window}, but has to be 1 or more")
    listener = progress or Silence()
    folder.mkdir(parents=True, exist_ok=True)
    with writer_lock(folder):
        done = _begin(folder, encoder.description, {"with_text": with_text})
        listener.start("encoding", None, "doc")
        stream = iter(documents)
        _pass_over(stream, done, listener)
        shards = list(done)
        encoded = ((batch, columns(batch)) for batch in windows(stream, max_documents=window))
        while shard := _write_shard(shard_path(folder, len(shards)), encoded, listener, with_text=with_text):
            shards.append(shard)
    return EncodedCorpus(folder, tuple(shard.path for shard in shards), _n_docs(shards), _n_docs(done))


def _write_shard(
    path: Path, encoded: Iterator[tuple[list[Document], Columns]], listener: Progress, *, with_text: bool
) -> Shard | None:
    """Write windows until a shard is full; None if there are none left."""
    writer: ShardWriter | None = None
    try:
        for documents, columns in encoded:
            writer = writer or ShardWriter(path, with_text=with_text)
            writer.append(documents, columns)
            listener.advance(len(documents))
            if writer.n_docs >= SHARD_DOCUMENTS:
                break
    except BaseException:
        if writer is not None and writer.is_sound:
            _keep(writer)  # what was encoded so far
        elif writer is not None:
            writer.abandon()
        raise
    return None if writer is None else writer.close()


def _keep(writer: ShardWriter) -> None:
    try:
        writer.close()
    except BaseException:
        writer.abandon()
        raise


def _n_docs(shards: Iterable[Shard]) -> int:
    return sum(shard.n_docs for shard in shards)


def _begin(folder: Path, encoder: Mapping[str, Any], settings: dict[str, Any]) -> list[Shard]:
    """Say in the folder whose job it is, or find that it is this one; return the shards that are done."""
    path = folder / JOB_FILE
    for leftover in folder.glob("*.tmp"):
        leftover.unlink()
    if not path.is_file():
        if any(folder.glob("*.parquet")):
            raise LsrError(f"{folder} holds Parquet files of something else: give an empty folder")
        _write_job(path, {"format": FORMAT, "encoder": dict(encoder), "settings": settings})
        return []
    job = _read_job(path)
    try:
        check_same(job["encoder"], encoder)
    except LsrError as error:
        raise LsrError(f"{folder} holds vectors of another encoder ({error})") from error
    if job["settings"] != settings:
        raise LsrError(f"{folder} was begun with {job['settings']}, but now it is {settings}: give the same again")
    numbers = range(sum(1 for _ in folder.glob("shard-*.parquet")))
    return [read_shard(shard_path(folder, number)) for number in numbers]


def _pass_over(stream: Iterator[Document], done: list[Shard], listener: Progress) -> None:
    for shard in done:
        source = SourceHash()
        source.update(islice(stream, shard.n_docs))
        if source.value() != shard.source:
            raise LsrError(
                f"{shard.path}: the documents aren't those that it was made of: "
                "encode the changed corpus into an empty folder"
            )
        listener.advance(shard.n_docs)


def _write_job(path: Path, job: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(job, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(path.parent)


def _read_job(path: Path) -> dict[str, Any]:
    try:
        job: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if job["format"] != FORMAT:
            raise LsrError(f"{path} has format {job['format']}, but this program reads {FORMAT}")
        return {"encoder": job["encoder"], "settings": job["settings"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LsrError(f"{path} can't be read ({error}): encode into an empty folder") from error
