"""A job that turns documents into a folder of shards, and goes on where it was left if it was interrupted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lsr.encoders.registry import check_same
from lsr.errors import LsrError, UsageError
from lsr.indexer.encode.columns import Columns
from lsr.indexer.encode.shards import Shard, ShardWriter, SourceHash, read_shard, shard_path
from lsr.indexer.encode.windows import Pace, windows
from lsr.indexer.storage.files import sync_folder
from lsr.indexer.storage.lock import NAME as LOCK_NAME
from lsr.indexer.storage.lock import writer_lock
from lsr.io.progress import NoProgress, Progress
from lsr.types import Document

JOB_FILE = "encode.json"
FORMAT = 2
SHARD_DOCUMENTS = 4096
"""Documents of a shard, or a window more."""
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class ShardJob:
    """What is to become of documents.

    encoder: the description of what encodes them. settings: what else decides the result; both are compared with
    those of the folder. columns: what a shard holds of a window of documents beside their ids.
    """

    encoder: Mapping[str, Any]
    settings: Mapping[str, Any]
    columns: Callable[[Sequence[Document]], Columns]


@dataclass(frozen=True, slots=True)
class EncodedCorpus:
    """A corpus as shards. n_resumed: documents that an earlier run had encoded already."""

    folder: Path
    shards: tuple[Path, ...]
    n_docs: int
    n_resumed: int


class OtherJobError(LsrError):
    """The folder holds shards of another encoder, or made with other settings, or damaged ones."""


class ChangedCorpusError(LsrError):
    """The documents are others than those that a shard was made of. number: of that shard."""

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(
            f"{path}: the documents aren't those that it was made of: encode the changed corpus into an empty folder"
        )
        self.number = number


def run_job(
    documents: Iterable[Document],
    job: ShardJob,
    folder: Path,
    *,
    window: int | Pace,
    shard_seconds: float = FOREVER,
    n_documents: int | None = None,
    progress: Progress | None = None,
) -> EncodedCorpus:
    """Encode documents into Parquet shards in `folder`; memory doesn't grow with their number.

    A folder that holds the beginning of the same job is gone on with: what stands there is neither lost nor
    encoded again. window: documents that are sorted by length and encoded together. shard_seconds: how long a shard
    is added to, and so what a killed process loses at most. n_documents: how many there are, if that is known.
    Raises OtherJobError, ChangedCorpusError, or LsrError for a folder of other things.
    """
    if isinstance(window, int) and window < 1:
        raise UsageError(f"window is {window}, but has to be 1 or more")
    listener = progress or NoProgress()
    with ExitStack() as stack:
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(writer_lock(folder))
            done = _begin(folder, job)
        listener.start("encoding", n_documents, "document")
        stream = iter(documents)
        _pass_over(stream, done, listener)
        shards = list(done)
        encoded = ((batch, job.columns(batch)) for batch in windows(stream, max_documents=window))
        while shard := _write_shard(shard_path(folder, len(shards)), encoded, shard_seconds, listener):
            shards.append(shard)
    return EncodedCorpus(folder, tuple(shard.path for shard in shards), _n_docs(shards), _n_docs(done))


def kept_documents(folder: Path) -> int:
    """Return how many documents of an unfinished job a folder holds; 0 where there is none, or it can't be read."""
    try:
        return _n_docs(read_shard(path) for path in folder.glob("shard-*.parquet")) if is_job(folder) else 0
    except LsrError:
        return 0


def is_job(folder: Path) -> bool:
    """Say whether a folder is a job's."""
    return (folder / JOB_FILE).is_file()


def forget_shards(folder: Path, first: int) -> None:
    """Remove a job's shards from number `first` on."""
    number = first
    while (path := shard_path(folder, number)).is_file():
        path.unlink()
        number += 1


def forget_job(folder: Path) -> None:
    """Remove all that a job made, and nothing else: the folder too, if nothing else is there."""
    if not is_job(folder):
        with suppress(OSError):  # not there, or not empty
            folder.rmdir()
        return
    for path in [*folder.glob("shard-*.parquet"), *folder.glob("*.tmp"), folder / LOCK_NAME, folder / JOB_FILE]:
        path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _write_shard(
    path: Path, encoded: Iterator[tuple[list[Document], Columns]], seconds: float, listener: Progress
) -> Shard | None:
    """Write windows until a shard is full; None if there are none left."""
    writer: ShardWriter | None = None
    until = time.monotonic() + seconds
    try:
        for documents, columns in encoded:
            with _writing(path.parent):
                writer = writer or ShardWriter(path)
                writer.append(documents, columns)
            listener.advance(len(documents))
            if writer.n_docs >= SHARD_DOCUMENTS or time.monotonic() >= until:
                break
    except BaseException:
        if writer is not None and writer.is_sound:
            _keep(writer)  # what was encoded so far
        elif writer is not None:
            writer.abandon()
        raise
    with _writing(path.parent):
        return None if writer is None else writer.close()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn what the operating system says into an error that names the place and the remedy."""
    try:
        yield
    except OSError as error:
        raise LsrError(
            f"can't write to {folder}: {error.strerror or error}; free some space, change its permissions, or choose "
            "another place"
        ) from error


def _keep(writer: ShardWriter) -> None:
    try:
        writer.close()
    except BaseException:
        writer.abandon()
        raise


def _n_docs(shards: Iterable[Shard]) -> int:
    return sum(shard.n_docs for shard in shards)


def _begin(folder: Path, job: ShardJob) -> list[Shard]:
    """Say in the folder whose job it is, or find that it is this one; return the shards that are done."""
    path = folder / JOB_FILE
    for leftover in folder.glob("*.tmp"):
        leftover.unlink()
    if not path.is_file():
        if any(folder.glob("*.parquet")):
            raise LsrError(f"{folder} holds Parquet files of something else: give an empty folder")
        _write_job(path, {"format": FORMAT, "encoder": dict(job.encoder), "settings": dict(job.settings)})
        return []
    found = _read_job(path)
    try:
        _check_same(found["encoder"], job.encoder)
    except LsrError as error:
        raise OtherJobError(f"{folder} holds vectors of another encoder ({error})") from error
    if found["settings"] != job.settings:
        raise OtherJobError(
            f"{folder} was begun with {found['settings']}, but now it is {dict(job.settings)}: give the same again"
        )
    numbers = range(sum(1 for _ in folder.glob("shard-*.parquet")))
    try:
        return [read_shard(shard_path(folder, number)) for number in numbers]
    except LsrError as error:
        raise OtherJobError(str(error)) from error


def _check_same(found: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    check_same(found, given)
    check_same(found.get("dense") or {}, given.get("dense") or {})


def _pass_over(stream: Iterator[Document], done: list[Shard], listener: Progress) -> None:
    for number, shard in enumerate(done):
        source = SourceHash()
        source.update(islice(stream, shard.n_docs))
        if source.value() != shard.source:
            raise ChangedCorpusError(shard.path, number)
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
            raise OtherJobError(f"{path} has format {job['format']}, but this program reads {FORMAT}")
        return {"encoder": job["encoder"], "settings": job["settings"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OtherJobError(f"{path} can't be read ({error}): encode into an empty folder") from error
