"""Files in object stores and on the Hugging Face hub, by the file systems of pyarrow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from lsr.errors import LsrError, MissingExtraError
from lsr.indexer.corpus.remote.url import Url

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

CONNECT_S, REQUEST_S, ATTEMPTS, RETRY_S = 10, 60, 3, 20
"""Seconds until a store must have answered, how often it is asked, and how long Google's is asked again."""
_LIBRARIES = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "huggingface_hub", "fsspec", "aiohttp")


class StoreFile(NamedTuple):
    """A file of a store. inside: its path from the place that was named, "" for that place itself."""

    key: str
    inside: str
    size_bytes: int


class ArrowStore:
    """The files under the URL of a store. Credentials are those of the environment."""

    def __init__(self, url: Url) -> None:
        self._url = url
        with explained(url.name):
            self._system, self._root = file_system(url)

    def files(self) -> Iterator[StoreFile]:
        """Yield the files under the URL, sorted by name in each folder. Raises LsrError where the store refuses."""
        from pyarrow.fs import FileSelector, FileType

        with explained(self._url.name):
            info = self._system.get_file_info(self._root)
            if info.type == FileType.File:
                found = [StoreFile(self._root, "", info.size or 0)]
            elif info.type == FileType.NotFound:
                raise FileNotFoundError
            else:
                listed = self._system.get_file_info(FileSelector(self._root, recursive=True))
                start = len(self._root.rstrip("/")) + 1
                found = [
                    StoreFile(one.path, one.path[start:], one.size or 0) for one in listed if one.type == FileType.File
                ]
        yield from sorted(found, key=lambda file: file.inside.split("/"))

    def open(self, key: str) -> IO[bytes]:
        """Open a file, to be read at any place."""
        with explained(self._url.name):
            return cast("IO[bytes]", _Reads(self._system.open_input_file(key)))


class _Reads(io.RawIOBase):
    """The bytes of a file. Errors of the hub's library become OSErrors here."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return int(self._file.tell())

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._file.readinto(buffer) or 0)
        except Exception as error:
            if not is_of_library(error):
                raise
            raise OSError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def is_of_library(error: BaseException) -> bool:
    """Tell whether a library below pyarrow's file systems raised an error, or defines its class."""
    raised_in = ""
    place = error.__traceback__
    while place is not None:
        raised_in, place = str(place.tb_frame.f_globals.get("__name__", "")), place.tb_next
    return any(module.partition(".")[0] in _LIBRARIES for module in (type(error).__module__, raised_in))


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn an error of a store into one that names the place and the remedy."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise LsrError(f"no such file or folder: {name}: check the spelling") from None
    except Exception as error:
        if not isinstance(error, OSError | pa.ArrowException) and not is_of_library(error):
            raise
        said = " ".join(str(error).split())[:300]
        raise LsrError(
            f"{name}: the store doesn't answer as it should ({said}); check the URL, the network and the credentials "
            "of the environment, or give ?anonymous=true"
        ) from error


def file_system(url: Url) -> tuple[FileSystem, str]:
    """Return the file system of a URL, and its path there."""
    from pyarrow import fs

    options, path = dict(url.options), url.inside
    anonymous = options.get("anonymous", "").lower() == "true"
    given: dict[str, Any] = {}
    if "endpoint" in options:
        scheme, separator, host = options["endpoint"].partition("://")
        given = {"endpoint_override": host if separator else scheme, "scheme": scheme if separator else "https"}
    if url.scheme == "s3":
        region = options.get("region")
        if region is None and not given:
            region = fs.resolve_s3_region(path.partition("/")[0])
        return fs.S3FileSystem(
            anonymous=anonymous, region=region or "us-east-1", connect_timeout=CONNECT_S, request_timeout=REQUEST_S,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS), **given,
        ), path  # fmt: skip
    if url.scheme == "gs":
        from datetime import timedelta

        limit = timedelta(seconds=RETRY_S)
        return fs.GcsFileSystem(anonymous=anonymous, retry_time_limit=limit, **given), path
    if url.scheme == "hf":
        return _hub(), path
    found: tuple[FileSystem, str] = fs.FileSystem.from_uri(url.name)
    return found


def _hub() -> FileSystem:
    """Return the files of the Hugging Face hub, which pyarrow reaches by fsspec alone."""
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    try:
        from huggingface_hub import HfFileSystem
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "data") from error
    return PyFileSystem(FSSpecHandler(HfFileSystem()))
