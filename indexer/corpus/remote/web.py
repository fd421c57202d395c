"""A file on the web, read as it comes: redirects, size and silence have limits."""

from __future__ import annotations

import http.client
import io
import mimetypes
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from lsr.errors import LsrError
from lsr.indexer.corpus.remote.url import Url
from lsr.version import __version__

SILENCE_S = 30
"""Seconds that a server may take for its next bytes."""
SLOWEST, PATIENCE_S = 1024, 120
"""Bytes a second that a server must send in the mean, from so many seconds on."""
LARGEST_UNSIZED = 16 << 30
"""Bytes of an answer that doesn't say how long it is."""


_VAGUE = ("text/plain", "application/octet-stream")
_SUFFIXES = {"application/x-ndjson": ".jsonl"}


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows up to five redirects, to the web alone, and never from https to http."""

    max_redirections = 5

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme.lower()
        if scheme not in ("http", "https") or (req.full_url.startswith("https:") and scheme == "http"):
            raise LsrError(f"{req.full_url:.200} leads to {newurl!r:.200}, which is no https: it is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Head(NamedTuple):
    """The facts of a file on the web. name: of the file, with a suffix. size_bytes: 0 where it isn't said."""

    name: str
    size_bytes: int


class WebFile:
    """A file on the web by its URL."""

    def __init__(self, url: Url) -> None:
        self._url = url

    @cached_property
    def head(self) -> Head:
        """The facts of the file, asked for once. Raises LsrError where it isn't there or the server refuses."""
        with closing(self._answer()) as answer:
            kind = answer.headers.get_content_type()
            size = answer.length or 0
        name = unquote(PurePosixPath(urlsplit(self._url.name).path).name) or "index"
        if "." not in name and kind not in _VAGUE:
            name += _SUFFIXES.get(kind) or mimetypes.guess_extension(kind) or ""
        return Head(name, size)

    def open(self) -> io.RawIOBase:
        """Open the file, to be read from its beginning to its end."""
        return WebStream(self._answer(), self._url.name)

    def _answer(self) -> http.client.HTTPResponse:
        opener = urllib.request.build_opener(_SafeRedirects())
        headers = {"User-Agent": f"lsr-search/{__version__}", "Accept-Encoding": "identity"}
        name = self._url.name
        try:
            answer: http.client.HTTPResponse = opener.open(
                urllib.request.Request(self._url.text, headers=headers),  # noqa: S310  http or https
                timeout=SILENCE_S,
            )
        except urllib.error.HTTPError as error:
            error.close()
            why = "is not there" if error.code in (404, 410) else "the server refuses"
            said = f"{error.code} {error.reason}".strip().splitlines()[0][:200]
            raise LsrError(f"{name}: {why} ({said}); check the URL, or download the file yourself") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise LsrError(f"{name} can't be reached ({reason}): check the URL and the network") from None
        return answer


class WebStream(io.RawIOBase):
    """The bytes of an answer. Raises OSError for one that is cut off, too slow or never ends."""

    def __init__(
        self, answer: http.client.HTTPResponse, name: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._answer, self._name, self._clock = answer, name, clock
        self._is_sized = answer.length is not None
        self._left = answer.length if answer.length is not None else LARGEST_UNSIZED
        self._began, self._n_bytes = clock(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._answer.read1(len(view))
        except http.client.HTTPException as error:
            raise OSError(f"{self._name} is cut off: {error!r:.100}") from error
        self._n_bytes += len(data)
        self._left -= len(data)
        if not data and self._is_sized and self._left:
            raise OSError(f"{self._name} is cut off {self._left:,} bytes before its end")
        if self._left < 0:
            raise OSError(f"{self._name} has no end within {LARGEST_UNSIZED >> 30} GiB: download it yourself")
        seconds = self._clock() - self._began
        if seconds > PATIENCE_S and self._n_bytes < seconds * SLOWEST:
            raise OSError(f"{self._name} comes too slowly, {self._n_bytes:,} bytes in {seconds:.0f} s")
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._answer.close()
        super().close()
