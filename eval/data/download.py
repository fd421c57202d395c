"""Datasets by name: fetched once, checked, resumed where the line broke, unpacked inside their folder only."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from lsr.errors import LsrError
from lsr.eval.data.archives import BEIR_MD5, BEIR_URL
from lsr.io.cache import cache_home
from lsr.io.folder import Folder, refuse_link

Progress = Callable[[int, int | None], None]
"""Told the bytes there so far, and the whole size where the server says it."""

_CHUNK_BYTES = 1 << 18


def dataset_cache() -> Path:
    """Return the folder that downloaded datasets are kept in."""
    return cache_home() / "datasets"


def fetch_dataset(
    name: str,
    folder: Path,
    *,
    url: str | None = None,
    md5: str | None = None,
    timeout_s: float = 30.0,
    tries: int = 5,
    pause_s: float = 1.0,
    progress: Progress | None = None,
) -> Path:
    """Return the folder of the BEIR dataset `name` below `folder`, downloading it if it isn't there.

    A download that broke off leaves `NAME.zip.part`, from which the next call goes on. url and md5 are BEIR's own
    unless given. The dataset's folder appears whole or not at all. Raises LsrError for an unknown name, a server that
    refuses or stays silent for `timeout_s` in each of `tries` attempts, a wrong checksum, an archive that is broken or
    reaches out of its folder, and a full disk.
    """
    if url is None:
        if name not in BEIR_MD5:
            raise LsrError(
                f"{name!r} is neither a folder nor a BEIR dataset to download; there are: {', '.join(BEIR_MD5)}"
            )
        url, md5 = f"{BEIR_URL}/{name}.zip", BEIR_MD5[name]
    if name != PurePosixPath(name).name or name in ("", ".", ".."):
        raise LsrError(f"{name!r} can't name a dataset's folder")
    target = folder / name
    if target.is_dir():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{name}.lock"):
            if not target.is_dir():
                archive = folder / f"{name}.zip.part"
                refuse_link(archive)
                _download(url, archive, timeout_s=timeout_s, tries=tries, pause_s=pause_s, progress=progress)
                _check_md5(archive, md5, url)
                _unpack(archive, target)
                archive.unlink()
    except OSError as error:
        raise LsrError(f"{target}: {error.strerror or error}") from error
    return target


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process fetches the same dataset."""
    with _opened(path) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _opened(path: Path) -> IO[bytes]:
    """Open a file to be gone on with, made if need be; a link in its place, or a second name, is an error."""
    return os.fdopen(Folder.open(path.parent).open_or_create(path.name), "r+b")


def _download(
    url: str, archive: Path, *, timeout_s: float, tries: int, pause_s: float, progress: Progress | None
) -> None:
    if not url.startswith(("https://", "http://")):
        raise LsrError(f"{url}: only http and https addresses are fetched")
    problem = ""
    for attempt in range(tries):
        if attempt:
            time.sleep(pause_s * 2 ** (attempt - 1))
        try:
            if _download_once(url, archive, timeout_s=timeout_s, progress=progress):
                return
            problem = "the connection closed before the end"
        except urllib.error.HTTPError as error:
            problem = f"the server answers {error.code} {error.reason}"
            if error.code < 500 and error.code not in (408, 429):
                break
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            problem = str(getattr(error, "reason", error)) or type(error).__name__
    kept = archive.stat().st_size if archive.is_file() else 0
    raise LsrError(
        f"{url}: {problem}; {kept} bytes are kept in {archive}: run the same command again to go on,"
        " or give the folder of a dataset that you have"
    )


def _download_once(url: str, archive: Path, *, timeout_s: float, progress: Progress | None) -> bool:
    """Append what is missing of the archive; return whether it is complete as far as the server says."""
    have = archive.stat().st_size if archive.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "lsr-search", "Accept-Encoding": "identity"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            # Nothing lies beyond what is here: the checksum tells whether it is the archive.
            return True
        raise
    with response:
        resumed = response.status == 206 and _starts_at(response.headers.get("Content-Range"), have)
        if not resumed:
            have = 0
        length = response.headers.get("Content-Length")
        whole = have + int(length) if length and length.isdigit() else None
        _check_space(archive.parent, needed=(whole or 0) - have)
        with _opened(archive) as file:
            file.seek(0, os.SEEK_END)
            if not resumed:
                file.truncate(0)
                file.seek(0)
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                if progress:
                    progress(have, whole)
    return whole is None or have == whole


def _starts_at(content_range: str | None, have: int) -> bool:
    return bool(content_range) and str(content_range).startswith(f"bytes {have}-")


def _check_space(folder: Path, *, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LsrError(f"{folder}: {needed} bytes are needed and {free} are free; make room or choose another folder")


def _check_md5(archive: Path, md5: str | None, url: str) -> None:
    if md5 is None:
        return
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        archive.unlink()
        raise LsrError(f"{url}: the checksum is {found} where {md5} is right; the broken file is removed, try again")


def _unpack(archive: Path, target: Path) -> None:
    """Unpack to a folder beside the target, then rename the dataset's folder into place."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        try:
            with zipfile.ZipFile(archive) as packed:
                _check_space(target.parent, needed=sum(entry.file_size for entry in packed.infolist()))
                for entry in packed.infolist():
                    _unpack_one(packed, entry, Path(temporary), archive)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            archive.unlink()
            raise LsrError(f"{archive}: no whole zip archive ({error}); it is removed, try again") from error
        unpacked = Path(temporary) / target.name
        if not unpacked.is_dir():
            found = ", ".join(sorted(path.name for path in Path(temporary).iterdir())) or "nothing"
            raise LsrError(f"{archive}: no folder {target.name!r} in it, but {found}")
        unpacked.rename(target)


def _unpack_one(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, archive: Path) -> None:
    """Write one entry below `folder`; refuse one whose name or kind could reach out of it."""
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    is_link = (entry.external_attr >> 16) & 0o170000 == 0o120000
    if path.is_absolute() or ".." in path.parts or ":" in entry.filename or is_link:
        raise LsrError(f"{archive}: the entry {entry.filename!r} would reach out of the dataset's folder; refused")
    target = folder.joinpath(*path.parts)
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with packed.open(entry) as source, target.open("xb") as file:
        _copy(source, file, entry)


def _copy(source: IO[bytes], file: IO[bytes], entry: zipfile.ZipInfo) -> None:
    left = entry.file_size
    while chunk := source.read(_CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise zipfile.BadZipFile(f"{entry.filename!r} is larger than the archive says")
        file.write(chunk)
