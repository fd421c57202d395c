"""Sources of documents: paths, Documents, dicts, texts, tables, and iterables of these.

A path is a `Path`, or a `str` by itself, which may be a URL. A `str` among several is a text, unless all of them name
files that exist; one that might be either is refused.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from lsr.api.arguments import check_path, is_missing, shown
from lsr.api.records import Names, Records, checked_document
from lsr.api.tables import is_lazy, is_table, rows_of
from lsr.errors import BadDocumentError, UsageError
from lsr.indexer.corpus.formats.text import clean
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.registry import is_document_name
from lsr.indexer.corpus.remote.url import Place, as_place, is_remote
from lsr.types import Document

ACCEPTED = (
    "paths of files or folders, Documents, dicts, texts in a list, a pandas or polars DataFrame, an Arrow table, "
    "or an iterable of Documents, dicts or texts"
)
LONGEST_PATH = 1024
"""Characters of a text that might be meant as a path."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Files and folders to be read, here or by URL. reading: names of columns and the like (default: guessed)."""

    paths: tuple[Place, ...]
    reading: CorpusOptions | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """Documents to be read once."""

    documents: Iterator[Document]


def read_sources(sources: Any, names: Names, *, first_id: int | None = 0) -> Paths | Stream:
    """Return a caller's sources as paths or as a stream of documents.

    Args:
        sources: whatever the caller gave.
        names: names of columns or keys.
        first_id: doc_id of the first document, if it has none; those after it count on. None: every document must
            have one.

    Raises:
        UsageError: the sources, or the kind of their first item, aren't accepted. Items are checked when they are read.
    """
    if isinstance(sources, str | os.PathLike):
        return _paths([sources], names)
    found = _found_sources(sources, names, first_id)
    if names.reading and isinstance(found, Stream):
        raise UsageError(f"reading= is for files, but the sources are {shown(sources)}")
    return found


def _found_sources(sources: Any, names: Names, first_id: int | None) -> Paths | Stream:
    reader = _Reader(names, first_id)
    if isinstance(sources, Document | Mapping):
        return Stream(reader.documents([sources]))
    if is_lazy(sources):
        raise UsageError("the sources are a LazyFrame; give its rows: sources.collect()")
    if is_table(sources):
        return Stream(reader.documents(rows_of(sources)))
    refused = isinstance(sources, bytes | bytearray | memoryview | io.IOBase | Set)
    if refused or not isinstance(sources, Iterable):
        why = ", which has no order" if isinstance(sources, Set) else ""
        raise UsageError(f"the sources are {shown(sources)}{why}; give {ACCEPTED}")
    if isinstance(sources, Sequence):
        if sources and all(isinstance(item, str | os.PathLike) for item in sources) and _are_paths(sources):
            return _paths(sources, names)
        return Stream(reader.documents(sources))
    return _of_iterator(_iterator(sources), reader, names)


def _iterator(sources: Iterable[Any]) -> Iterator[Any]:
    try:
        return iter(sources)
    except TypeError as error:  # a numpy array without dimensions
        raise UsageError(f"the sources are {shown(sources)}; give {ACCEPTED}") from error


def _of_iterator(items: Iterator[Any], reader: _Reader, names: Names) -> Paths | Stream:
    """Look at the first item of an iterator: one of paths, as `Path.glob` gives it, is read to its end."""
    first = list(islice(items, 1))
    if first and isinstance(first[0], os.PathLike):
        return _paths([*first, *items], names)
    return Stream(reader.documents(chain(first, items)))


def _paths(given: Iterable[Any], names: Names) -> Paths:
    paths = tuple(_place(item) for item in given)
    for path in paths:
        if isinstance(path, Path) and not os.path.lexists(path):
            raise UsageError(
                f"no such file or folder: {str(path)!r:.200}; check the spelling, "
                "or put a text to be indexed in a list or a dict: {'text': …}"
            )
    return Paths(paths, names.of_files() if names.given else None)


def _place(item: Any) -> Place:
    return as_place(item) if is_remote(item) else check_path(item, "a source")


def _are_paths(items: Sequence[Any]) -> bool:
    """Tell whether texts and paths in a list are all paths. Raises UsageError where some might be and others not."""
    if all(isinstance(item, os.PathLike) or _exists(item) for item in items):
        return True
    if any(isinstance(item, os.PathLike) for item in items):
        missing = next(item for item in items if not (isinstance(item, os.PathLike) or _exists(item)))
        raise UsageError(
            f"the sources hold paths, and {missing!r:.100}, which is no existing file or folder; "
            "give only paths, or only texts"
        )
    return False


def _exists(text: str) -> bool:
    return 0 < len(text) <= LONGEST_PATH and "\n" not in text and os.path.lexists(text)


def _looks_like_path(text: str) -> bool:
    """Tell whether a text is written as a path, or names what exists."""
    if len(text) > LONGEST_PATH or any(character.isspace() for character in text):
        return _exists(text)
    written = text.startswith(("./", "../", "/", "~/")) or text.endswith("/") or is_document_name(text)
    return written or _exists(text)


class _Reader:
    """Makes documents of items. first_id: as in `read_sources`."""

    def __init__(self, names: Names, first_id: int | None) -> None:
        self._names = names
        self._records = Records(names)
        self._first_id = first_id

    def documents(self, items: Iterable[Any]) -> Iterator[Document]:
        """Yield the document of each item. Raises BadDocumentError naming the item that can't be one."""
        for number, item in enumerate(items):
            yield self._document(item, number)

    def _document(self, item: Any, number: int) -> Document:
        if isinstance(item, Mapping):
            return self._records.document(item, number, self._default_id(number))
        if isinstance(item, str):
            return self._text(item, number)
        if isinstance(item, Document):
            if self._names.given:
                raise UsageError("text=, title=, id= and fields= name keys of dicts, but the sources are Documents")
            return checked_document(item, number)
        what = "missing" if is_missing(item) else "a path among texts" if isinstance(item, os.PathLike) else "no text"
        raise BadDocumentError(f"source {number} is {what}: {shown(item)}; give Documents, dicts or texts (str)")

    def _text(self, text: str, number: int) -> Document:
        if self._names.given:
            raise UsageError("text=, title=, id= and fields= name columns or keys, but the sources are plain texts")
        if _looks_like_path(text):
            raise BadDocumentError(
                f"source {number} is {text!r:.100}, which may be a path or a text; "
                "give Path(…) for a file, or {'text': …} for a text"
            )
        default_id = self._default_id(number)
        if default_id is None:
            raise BadDocumentError(f"source {number} is a text without a doc_id; give {{'doc_id': …, 'text': …}}")
        return Document(str(default_id), clean(str(text)))

    def _default_id(self, number: int) -> int | None:
        return None if self._first_id is None else self._first_id + number
