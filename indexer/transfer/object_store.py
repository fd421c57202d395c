"""Object stores by their URLs: objects that are put whole or not at all, and read in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from lsr.errors import IndexMissingError, LsrError, MissingExtraError, UsageError

SCHEMES = ("s3", "gs", "az", "abfs", "abfss", "file", "memory")
URL = re.compile(r"[a-z0-9]+://")
PIECE_BYTES = 8 << 20
LARGEST_READ = 16 << 20
"""Bytes of an object that is read into memory: as many as a manifest may have."""
_OPTIONS = ("endpoint", "region", "anonymous")


def is_url(place: object) -> bool:
    """Return whether something is the URL of a store, rather than a path."""
    return isinstance(place, str) and URL.match(place) is not None


def _library() -> Any:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError as error:
        raise MissingExtraError("obstore", "store") from error
    return obstore


@dataclass(frozen=True, slots=True)
class Entry:
    """An object: its key, and its size in bytes."""

    key: str
    size_bytes: int


class ObjectStore:
    """The objects under a URL. name: the URL without its options, for messages.

    The URL may end in `?endpoint=…&region=…&anonymous=true`; credentials are those of the environment. Raises
    MissingExtraError without the library, UsageError for a URL of another kind.
    """

    def __init__(self, url: str, *, to_write: bool = False) -> None:
        """Open a store. Nothing is asked of it before an object is. to_write: the folder of a file:// URL is made."""
        self._makes_folder = to_write
        self._lib = _library()
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise UsageError(f"{url!r:.200} is no URL: {error}") from error
        if parts.fragment or "#" in url:
            raise UsageError(f"{url!r:.200}: what follows a # is no part of a place; write %23 for it")
        if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
            raise UsageError(
                f"{url!r:.200}: a folder's URL has three slashes, as file:///{parts.netloc}{parts.path}"[:600]
            )
        self.name = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        if parts.scheme not in SCHEMES:
            raise UsageError(f"{self.name}: stores are reached by {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
        with self._explained():
            self._store = self._opened(parts.scheme, dict(parse_qsl(parts.query)))

    def _opened(self, scheme: str, options: Mapping[str, str]) -> Any:
        for option in options:
            if option not in _OPTIONS:
                raise UsageError(f"{self.name}: no option {option!r:.40}; there are {', '.join(_OPTIONS)}")
        if scheme == "file":
            return self._lib.store.LocalStore(unquote(urlsplit(self.name).path), mkdir=self._makes_folder)
        if scheme == "memory":
            return _in_memory(self._lib, self.name)
        config: dict[str, Any] = {name: options[name] for name in ("endpoint", "region") if name in options}
        if options.get("anonymous", "").lower() == "true":
            config["skip_signature"] = True
        if scheme == "s3" and "region" not in config and "endpoint" in config:
            config["region"] = "us-east-1"
        client = {"allow_http": True} if config.get("endpoint", "").startswith("http://") else {}
        return self._lib.store.from_url(self.name, config=config, client_options=client)

    @contextmanager
    def _explained(self, key: str = "") -> Iterator[None]:
        """Turn an error of the store into one that says which object, and the remedy."""
        found = self._lib.exceptions
        where = f"{self.name.rstrip('/')}/{key}" if key else self.name
        try:
            yield
        except (found.AlreadyExistsError, FileExistsError) as error:
            raise ExistsError(f"{where} is there already") from error
        except (found.NotFoundError, FileNotFoundError) as error:
            raise IndexMissingError(f"{where} is not there") from error
        except (found.UnauthenticatedError, found.PermissionDeniedError, PermissionError) as error:
            raise LsrError(
                f"{where}: the store refuses ({_first_line(error)}); check the credentials of the environment, or give "
                "?anonymous=true"
            ) from error
        except (found.BaseError, OSError) as error:
            raise LsrError(f"{where}: the store doesn't answer as it should ({_first_line(error)})") from error

    def entries(self, folder: str = "") -> list[Entry]:
        """Return the objects under a folder, by their keys from there, in order."""
        prefix = f"{folder}/" if folder else ""
        with self._explained(folder):
            found = [meta for some in self._lib.list(self._store, prefix=prefix or None) for meta in some]
        return sorted((Entry(meta["path"], meta["size"]) for meta in found), key=lambda entry: entry.key)

    def names(self) -> list[str]:
        """Return the names of the objects that are in no folder."""
        with self._explained():
            found = self._lib.list_with_delimiter(self._store)["objects"]
        return sorted(meta["path"] for meta in found)

    def read(self, key: str) -> bytes:
        """Return a small object. Raises IndexMissingError, LsrError where it isn't small."""
        content = b""
        for piece in self.pieces(key):
            content += piece
            if len(content) > LARGEST_READ:
                raise LsrError(f"{self.name}/{key} is over {LARGEST_READ >> 20} MiB, more than a manifest may have")
        return content

    def pieces(self, key: str) -> Iterator[bytes]:
        """Yield an object's bytes. Raises IndexMissingError."""
        with self._explained(key):
            for piece in self._lib.get(self._store, key).stream(min_chunk_size=PIECE_BYTES):
                yield bytes(piece)

    def end(self, key: str, size_bytes: int, n_bytes: int) -> bytes:
        """Return the last bytes of an object, `n_bytes` or all. size_bytes: of the object."""
        start = max(0, size_bytes - n_bytes)
        with self._explained(key):
            return bytes(self._lib.get_range(self._store, key, start=start, end=size_bytes))

    def put(self, key: str, content: bytes | IO[bytes]) -> None:
        """Put an object, whole or not at all; one that is there is replaced."""
        with self._explained(key):
            self._lib.put(self._store, key, content)

    def create(self, key: str, content: bytes) -> None:
        """Put an object where there is none. Raises ExistsError otherwise: of several writers one wins."""
        with self._explained(key):
            self._lib.put(self._store, key, content, mode="create", use_multipart=False)


class ExistsError(LsrError):
    """An object that is there already."""


_memories: dict[str, Any] = {}


def _in_memory(library: Any, name: str) -> Any:
    """Return the store of this process by a name."""
    return _memories.setdefault(name, library.store.MemoryStore())


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
