"""The registry of file formats: each module of `formats` that has `FORMATS` is in it."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

from lsr.errors import UsageError
from lsr.indexer.corpus import formats
from lsr.indexer.corpus.compression import uncompressed_name
from lsr.indexer.corpus.file_format import FileFormat
from lsr.io.plain_file import open_plain

_SNIFFED_BYTES = 8192
_MAX_CONTROL_SHARE = 0.02
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b")) + b"\x7f"
UNREAD_SUFFIXES = frozenset(
    ".svg .map .pem .key .crt .cer .csr .der .pub .asc .sig .snap .eps .ps .min.js .min.css".split()
)
"""Suffixes of files that are texts, but keys, signatures, pictures or generated: they are not read unless named."""


@cache
def all_formats() -> tuple[FileFormat, ...]:
    """Return all formats, by name."""
    found: list[FileFormat] = []
    for module in pkgutil.walk_packages(formats.__path__, f"{formats.__name__}."):
        found.extend(getattr(import_module(module.name), "FORMATS", ()))
    return tuple(sorted(found, key=lambda each: each.name))


@cache
def _by_suffix() -> Mapping[str, FileFormat]:
    return {suffix: each for each in all_formats() for suffix in each.suffixes}


@cache
def _by_file_name() -> Mapping[str, FileFormat]:
    return {name: each for each in all_formats() for name in each.file_names}


def format_named(name: str) -> FileFormat:
    """Return the format of this name. Raises UsageError."""
    for each in all_formats():
        if each.name == name:
            return each
    known = ", ".join(each.name for each in all_formats())
    raise UsageError(f"no format is called {name!r:.60}; there are {known}")


def format_of(name: str) -> tuple[FileFormat, str] | None:
    """Return format and compression's suffix of a file by its name; None where the name has none."""
    lower, compression = uncompressed_name(name.lower())
    stem, dot, suffix = lower.rpartition(".")
    found = _by_suffix().get(dot + suffix) if stem else None
    found = found or _by_file_name().get(lower)
    return None if found is None else (found, compression)


def is_document_name(text: str) -> bool:
    """Tell whether a text could be the name of a file of a format other than source code."""
    found = format_of(text) if "." in text else None
    return found is not None and found[0].name != "source"


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name in lower case, or "". Skipped files are counted by it."""
    stem, dot, suffix = name.lower().rpartition(".")
    return dot + suffix if stem and len(suffix) <= 12 else ""


def is_left_out(name: str) -> bool:
    """Tell whether a file of this name is no text to search: a key, a picture or generated."""
    lower = name.lower()
    return any(lower.endswith(suffix) for suffix in UNREAD_SUFFIXES)


def looks_like_text(path: Path) -> bool:
    """Tell whether a file begins as UTF-8 text does. path: without links. Raises OSError."""
    with os.fdopen(open_plain(path), "rb") as file:
        return begins_as_text(file.read(_SNIFFED_BYTES))


def begins_as_text(head: bytes) -> bool:
    """Tell whether the first bytes of a file, 8,192 or all, are those of a UTF-8 text."""
    if not head or b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if len(head) < _SNIFFED_BYTES or error.start < len(head) - 4:
            return False
    return len(head) - len(head.translate(None, _CONTROLS)) <= _MAX_CONTROL_SHARE * len(head)


def formats_read() -> str:
    """Return the names of the formats that are read, for messages."""
    return f"{', '.join(each.name for each in all_formats())} and other texts"
