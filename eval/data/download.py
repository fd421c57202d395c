"""Downloads of BEIR datasets by name: fetched once, verified, and unpacked inside their folder only."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lsr.errors import LsrError, MissingExtraError
from lsr.eval.data.archives import BEIR_MD5, BEIR_URL
from lsr.io.atomic import atomic_folder
from lsr.io.cache import cache_home
from lsr.io.progress import NoProgress, Progress

TRIES = 5
TIMEOUT_S = 30.0
"""Seconds without a byte after which an attempt is given up."""

_CHUNK_BYTES = 1 << 18
_WORTH_ANOTHER_TRY = (408, 429)
"""Answers below 500 that may be another one a little later: timed out, too many requests."""


def dataset_cache() -> Path:
    """Return the folder that downloaded datasets are kept in."""
    return cache_home() / "datasets"


def fetch_dataset(name: str, folder: Path, *, progress: Progress | None = None) -> Path:
    """Return the folder of the BEIR dataset `name` below `folder`, downloaded if it isn't there.

    The archive is fetched by pooch, in up to five attempts, and compared with the MD5 that BEIR publishes. The
    dataset's folder appears complete or not at all. Raises LsrError for an unknown name, a server that refuses or
    stays silent, a wrong checksum, an archive that is broken or reaches out of its folder, and a full disk;
    MissingExtraError without pooch.
    """
    if name not in BEIR_MD5:
        raise LsrError(f"{name!r} is neither a folder nor a BEIR dataset to download; there are: {', '.join(BEIR_MD5)}")
    target = folder / name
    if target.is_dir():
        return target
    listener = progress or NoProgress()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{name}.lock"):
            if not target.is_dir():
                with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=folder) as scratch:
                    listener.start(f"downloading {name}", None, "B")
                    archive = _download(name, Path(scratch), listener)
                    _unpack(archive, target)
    except OSError as error:
        raise LsrError(f"{target}: {error.strerror or error}") from error
    return target


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process fetches the same dataset."""
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass
class _Bar:
    """A progress bar as pooch calls one. total: size of the archive in bytes, set by pooch."""

    listener: Progress
    folder: Path
    total: int = field(default=0)
    shown: int = 0

    def update(self, n: int) -> None:
        if not self.shown:
            _check_space(self.folder, needed=self.total)
        self.listener.advance(n)
        self.shown += n

    def reset(self) -> None:
        self.listener.advance(-self.shown)
        self.shown = 0

    def close(self) -> None:
        """Ignore: the listener ends a stage itself."""


def _download(name: str, folder: Path, progress: Progress) -> Path:
    """Return the archive, verified."""
    try:
        import pooch
        import requests
    except ImportError as error:
        raise MissingExtraError("pooch", "eval") from error

    def download(url: str, file: Any, asked_by: Any) -> None:
        """Download once; a refusal is no reason to ask again."""
        bar = _Bar(progress, folder)
        fetch = pooch.HTTPDownloader(progressbar=bar, chunk_size=_CHUNK_BYTES, timeout=TIMEOUT_S)
        try:
            fetch(url, file, asked_by)
        except requests.HTTPError as error:
            answer = error.response
            if answer is not None and answer.status_code < 500 and answer.status_code not in _WORTH_ANOTHER_TRY:
                raise LsrError(f"{url}: the server answers {answer.status_code} {answer.reason}") from error
            raise

    archive = f"{name}.zip"
    registry = {archive: f"md5:{BEIR_MD5[name]}"}
    fetcher = pooch.create(folder, f"{BEIR_URL}/", registry=registry, retry_if_failed=TRIES - 1)
    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(fetcher.fetch(archive, downloader=download))
    except (ValueError, requests.RequestException) as error:
        raise LsrError(
            f"{BEIR_URL}/{archive}: not downloaded in {TRIES} attempts: {error}; try again later, or give the folder"
            " of a dataset that you have"
        ) from error


def _check_space(folder: Path, *, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LsrError(f"{folder}: {needed} bytes are needed and {free} are free; make room or choose another folder")


def _unpack(archive: Path, target: Path) -> None:
    """Unpack the folder of the archive that has the target's name into its place; other entries are skipped."""
    try:
        with zipfile.ZipFile(archive) as packed, atomic_folder(target) as folder:
            _check_space(target.parent, needed=sum(entry.file_size for entry in packed.infolist()))
            paths = {entry.filename: _checked_path(entry) for entry in packed.infolist()}
            tops = {path.parts[0] for path in paths.values() if path.parts}
            if target.name not in tops:
                raise LsrError(
                    f"{archive.name}: no folder {target.name!r} in it, but {', '.join(sorted(tops)) or 'nothing'}"
                )
            for entry in packed.infolist():
                top, *inner = paths[entry.filename].parts
                if top == target.name:
                    _unpack_one(packed, entry, folder.joinpath(*inner))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, FileExistsError) as error:
        raise LsrError(f"{archive.name}: no whole zip archive ({error}); try again later") from error


def _checked_path(entry: zipfile.ZipInfo) -> PurePosixPath:
    """Return an entry's path. Raises LsrError where its name or kind could reach out of the folder."""
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    is_link = (entry.external_attr >> 16) & 0o170000 == 0o120000
    if path.is_absolute() or ".." in path.parts or ":" in entry.filename or is_link:
        raise LsrError(f"the entry {entry.filename!r} of the archive would reach out of the dataset's folder; refused")
    return path


def _unpack_one(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # zipfile gives no more bytes than the archive's directory says, which were counted before.
    with packed.open(entry) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)
