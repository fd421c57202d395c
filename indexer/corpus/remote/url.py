"""Places of a corpus: paths on this machine, and URLs of what lies elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from lsr.errors import UsageError

IR_DATASETS = "ir_datasets"
WEB, STORES = ("https", "http"), ("s3", "gs", "abfs", "abfss", "hf")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_OPTIONS = ("endpoint", "region", "anonymous")


@dataclass(frozen=True, slots=True)
class Url:
    """A URL of a store or of the web, or `ir_datasets:NAME`.

    scheme: in lower case. name: the URL without options and secrets, for messages and ids. options: of a store:
    endpoint, region, anonymous.
    """

    text: str
    scheme: str
    name: str
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def inside(self) -> str:
        """The part after the scheme, without slashes at its ends."""
        return self.name.partition(":")[2].strip("/")


Place = Path | Url


def is_remote(given: object) -> bool:
    """Return whether something is written as a URL, or as the name of a dataset of ir_datasets."""
    return isinstance(given, str) and (_URL.match(given) is not None or given.startswith(f"{IR_DATASETS}:"))


def as_place(given: str | Path | Url) -> Place:
    """Return a path, or the URL that a text is. Raises UsageError for a URL of another kind."""
    if isinstance(given, Path | Url):
        return given
    if given.startswith(f"{IR_DATASETS}:"):
        name = given.removeprefix(f"{IR_DATASETS}:").strip("/")
        if not name:
            raise UsageError(
                f"{given!r:.200} names no dataset: write {IR_DATASETS}:NAME, as {IR_DATASETS}:beir/scifact"
            )
        return Url(given, IR_DATASETS, f"{IR_DATASETS}:{name}")
    match = _URL.match(given)
    if match is None:
        return Path(given)
    scheme = match[1].lower()
    if scheme == "file":
        return Path(_local(given))
    if scheme not in (*WEB, *STORES):
        known = ", ".join(f"{each}://" for each in (*STORES, *WEB))
        raise UsageError(f"{given!r:.200}: a corpus is read from paths, {known} and {IR_DATASETS}:NAME")
    return _of_store(given, scheme) if scheme in STORES else _of_web(given, scheme)


def _local(given: str) -> str:
    parts = urlsplit(given)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(
            f"{given!r:.200}: a folder's URL has three slashes, as file:///{parts.netloc}{parts.path}"[:600]
        )
    return unquote(parts.path)


def _of_store(given: str, scheme: str) -> Url:
    try:
        parts = urlsplit(given)
    except ValueError as error:
        raise UsageError(f"{given!r:.200} is no URL: {error}") from error
    if parts.fragment or "#" in given:
        raise UsageError(f"{given!r:.200}: what follows a # is no part of a place; write %23 for it")
    if parts.password:
        raise UsageError(f"{scheme}://…: a URL must not hold a password; credentials are those of the environment")
    name = urlunsplit((scheme, parts.netloc, parts.path, "", ""))
    if not parts.netloc:
        raise UsageError(f"{given!r:.200} names no bucket: write {scheme}://BUCKET/PATH")
    options = tuple(parse_qsl(parts.query, keep_blank_values=True))
    for option, _ in options:
        if option not in _OPTIONS or scheme not in ("s3", "gs"):
            known = ", ".join(_OPTIONS) if scheme in ("s3", "gs") else "none"
            raise UsageError(f"{name}: no option {option!r:.40}; there are {known}")
    return Url(given, scheme, unquote(name), options)


def _of_web(given: str, scheme: str) -> Url:
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{given!r:.200} is no URL: {error}") from error
    if not parts.hostname or not given.isprintable() or " " in given:
        raise UsageError(f"{given!r:.200} names no host, or holds spaces: write {scheme}://HOST/PATH")
    if parts.username or parts.password:
        raise UsageError(f"{scheme}://{parts.hostname}: a URL must not hold a name or password")
    host = parts.hostname if port is None else f"{parts.hostname}:{port}"
    return Url(urlunsplit((scheme, host, parts.path or "/", parts.query, "")), scheme, f"{scheme}://{host}{parts.path}")
