"""A job that encodes documents into a folder of shards, and resumes after an interruption."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.encoders.registry import check_same
from lsr.encoders.runtime import RUNTIME
from lsr.errors import LsrError, UsageError
from lsr.indexer.encode.columns import Columns
from lsr.indexer.encode.shards import Shard, ShardWriter, read_shard, shard_name
from lsr.indexer.encode.units import SHARD_DOCUMENTS as SHARD_DOCUMENTS
from lsr.indexer.encode.units import Unit, Units, Workers
from lsr.indexer.encode.windows import MAX_TOKENS
from lsr.indexer.integrity.damage import OutOfResourcesError, lack_of
from lsr.io.folder import FileAt, Folder
from lsr.io.progress import NoProgress, Progress
from lsr.io.writer_lock import NAME as LOCK_NAME
from lsr.io.writer_lock import writer_lock
from lsr.types import Document

JOB_FILE = "encode.json"
FORMAT = 2
FOREVER = float("inf")
_SHARD = re.compile(r"shard-(\d{6,})\.parquet", re.ASCII)
_TEMPORARY = re.compile(r"(shard-\d{6,}(-[0-9a-f]+)?|encode)\.tmp", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShardJob:
    """The work to do with documents.

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


def run_job(
    documents: Iterable[Document],
    job: ShardJob,
    folder: Path | Folder,
    *,
    window: int,
    text_length: int | None = None,
    shard_seconds: float = FOREVER,
    n_documents: int | None = None,
    progress: Progress | None = None,
    stage: str = "encoding",
    workers: Workers | None = None,
) -> EncodedCorpus:
    """Encode documents into Parquet shards in `folder`; memory doesn't grow with their number.

    folder: the path that a caller names, which may be that of a link, or an open folder. One that holds the beginning
    of the same job is resumed: what it holds is neither lost nor encoded again. window: documents that are
    sorted by length and encoded together, at most. text_length: tokens of a document that the encoder reads, None: all.
    shard_seconds: how long a shard is added to, and so what a killed process
    loses at most. n_documents: how many there are, if that is known. stage: name of the work for the progress.
    workers: other processes that encode (default: this one).
    Raises OtherJobError, ChangedCorpusError, or LsrError for a folder of other things.
    """
    if window < 1:
        raise UsageError(f"window is {window}, but has to be 1 or more")
    listener = progress or NoProgress()
    with ExitStack() as stack:
        with writing(Path(str(folder))):
            if isinstance(folder, Path):
                folder.mkdir(parents=True, exist_ok=True)
            place = Folder.of(folder)
            stack.enter_context(writer_lock(place))
            done = _begin(place, job)
        listener.start(stage, n_documents, "document")
        size: dict[str, Any] = {"max_documents": window, "max_tokens": MAX_TOKENS, "text_length": text_length}
        units = Units(documents, done, size, listener)
        shards = dict(done)
        if workers is not None:
            for number, shard in workers.encode(units, place.path):
                shards[number] = shard
                listener.advance(shard.n_docs)
            _remove_temporary(place)  # of workers that were killed
        else:
            for unit in units.between():
                shards[unit.number] = _encode_unit(place, unit, job, listener)
            encoded = ((batch, job.columns(batch)) for batch in units.windows())
            number = units.number
            while written := _write_shard(place / shard_name(number), encoded, shard_seconds, listener):
                shards[number] = written
                number += 1
    ordered = [shards[number] for number in sorted(shards)]
    return EncodedCorpus(place.path, tuple(shard.path for shard in ordered), _n_docs(ordered), _n_docs(done.values()))


def _encode_unit(place: Folder, unit: Unit, job: ShardJob, listener: Progress) -> Shard:
    """Encode a unit that later shards follow, and so has to be whole."""
    encoded = ((batch, job.columns(batch)) for batch in unit.windows)
    return write_unit(place / shard_name(unit.number), encoded, on_window=listener.advance)


def write_unit(
    file: FileAt,
    encoded: Iterable[tuple[list[Document], Columns]],
    *,
    token: str = "",
    on_window: Callable[[int], None] = lambda _: None,
) -> Shard:
    """Write the shard of a unit, whole or not at all. token: of a name aside that no other process writes to."""
    writer: ShardWriter | None = None
    try:
        for documents, columns in encoded:
            with writing(file.folder.path):
                writer = writer or ShardWriter(file, token=token)
                writer.append(documents, columns)
            on_window(len(documents))
        assert writer is not None
        with writing(file.folder.path):
            return writer.close()
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise


def _job_at(path: Path) -> Folder | None:
    """Open the folder of a job, None where there is none. A link is none: nobody has named it."""
    try:
        folder = Folder.open(path.parent).folder(path.name)
    except OSError:
        return None
    return folder if folder.has_file(JOB_FILE) else None


def kept_documents(path: Path) -> int:
    """Return the number of documents in the folder of an unfinished job; 0 where there is no readable one."""
    folder = _job_at(path)
    if folder is None:
        return 0
    try:
        return _n_docs(read_shard(folder / name) for name in folder.names() if _SHARD.fullmatch(name))
    except OutOfResourcesError:  # they may be sound, so they are not called none
        raise
    except LsrError:
        return 0


def shard_of_job(file: Path) -> bool:
    """Say whether a file is a shard that a job wrote."""
    if _SHARD.fullmatch(file.name) is None:
        return False
    try:
        return Folder.open(file.parent).has_file(JOB_FILE)
    except OSError:  # said where the file is read
        return False


def read_job(path: Path) -> dict[str, Any]:
    """Return a job's `encoder` and `settings`. path: of its JOB_FILE. Raises LsrError for one that can't be read."""
    try:
        folder = Folder.open(path.parent)
    except OSError as error:
        raise LsrError(f"{path} can't be read: {error.strerror or error}") from error
    return _read_job(folder / path.name)


def is_job(path: Path) -> bool:
    """Say whether a folder is a job's."""
    return _job_at(path) is not None


def forget_shards(path: Path, first: int) -> None:
    """Remove a job's shards from number `first` on."""
    folder = _job_at(path)
    for name in [] if folder is None else folder.names():
        match = _SHARD.fullmatch(name)
        if folder is not None and match is not None and int(match[1]) >= first:
            folder.remove_file(name)


def forget_job(path: Path) -> None:
    """Remove all that a job made, and nothing else: the folder too, if nothing else is there."""
    folder = _job_at(path)
    if folder is not None:
        for name in sorted(folder.names()):
            if _SHARD.fullmatch(name) or _TEMPORARY.fullmatch(name) or name == LOCK_NAME:
                folder.remove_file(name)
        folder.remove_file(JOB_FILE)  # last: as long as it is there, the rest is known to be a job's
    with suppress(OSError):  # not there, or not empty
        Folder.open(path.parent).remove_folder(path.name)


def _write_shard(
    file: FileAt, encoded: Iterator[tuple[list[Document], Columns]], seconds: float, listener: Progress
) -> Shard | None:
    """Write windows until a shard is full; None if there are none left."""
    writer: ShardWriter | None = None
    until = time.monotonic() + seconds
    try:
        for documents, columns in encoded:
            with writing(file.folder.path):
                writer = writer or ShardWriter(file)
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
    with writing(file.folder.path):
        return None if writer is None else writer.close()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
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


def _begin(folder: Folder, job: ShardJob) -> dict[int, Shard]:
    """Record the job in the folder, or check that it is the same; return the finished shards by their numbers.

    Where several processes encode, any number may be missing.
    """
    _remove_temporary(folder)
    names = folder.names()
    if not folder.has_file(JOB_FILE):
        if any(name.endswith(".parquet") for name in names):
            raise LsrError(f"{folder} holds Parquet files of something else: give an empty folder")
        _write_job(folder, job_content(job))
        return {}
    check_job(str(folder), _read_job(folder / JOB_FILE), job)
    numbers = sorted(int(match[1]) for match in map(_SHARD.fullmatch, names) if match is not None)
    try:
        return {number: read_shard(folder / shard_name(number)) for number in numbers}
    except OutOfResourcesError:  # the shards may be sound
        raise
    except LsrError as error:
        raise OtherJobError(str(error)) from error


def job_content(job: ShardJob) -> dict[str, Any]:
    """Return what `encode.json` says of a job."""
    return {"format": FORMAT, "encoder": dict(job.encoder), "settings": dict(job.settings)}


def check_job(place: str, found: Mapping[str, Any], job: ShardJob) -> None:
    """Raise OtherJobError unless the job that a place was begun with is this one."""
    try:
        _check_same(found["encoder"], job.encoder)
    except LsrError as error:
        raise OtherJobError(f"{place} holds vectors of another encoder ({error})") from error
    if job.settings | found["settings"] != job.settings:  # earlier versions recorded fewer settings
        raise OtherJobError(
            f"{place} was begun with {found['settings']}, but now it is {dict(job.settings)}: give the same again"
        )


def _remove_temporary(folder: Folder) -> None:
    for name in filter(_TEMPORARY.fullmatch, folder.names()):
        folder.remove_file(name, missing_ok=True)


def _check_same(found: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise LsrError unless two descriptions are of the same encoders, in the same runtimes where both say which."""
    for one, other in ((found, given), (found.get("dense") or {}, given.get("dense") or {})):
        check_same(one, other)
        before, now = one.get(RUNTIME), other.get(RUNTIME)
        if before is not None and now is not None and before != now:
            raise LsrError(f"they were encoded by {_shown(before)}, but now by {_shown(now)}")


def _shown(runtime: Mapping[str, Any]) -> str:
    return " ".join(str(runtime.get(name)) for name in ("library", "dtype", "device"))


def _write_job(folder: Folder, job: dict[str, Any]) -> None:
    temporary = folder / "encode.tmp"
    with temporary.create(replace=True) as file:
        file.write(json.dumps(job, indent=2).encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(JOB_FILE)
    folder.sync()


def _read_job(path: FileAt) -> dict[str, Any]:
    try:
        with path.open() as file:
            job: dict[str, Any] = json.loads(file.read())
        if job["format"] != FORMAT:
            raise OtherJobError(f"{path} has format {job['format']}, but this program reads {FORMAT}")
        return {"encoder": dict(job["encoder"]), "settings": dict(job["settings"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        if lacking := lack_of(error, path):
            raise lacking from error
        raise OtherJobError(f"{path} can't be read ({error}): encode into an empty folder") from error
