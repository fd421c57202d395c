"""Arrays of JSON objects, as DPR's files are, read an object at a time."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from lsr.errors import BadDocumentError, LsrError

CHUNK = 1 << 20
MOST_CHARACTERS = 1 << 28
"""Characters of one object, from which on the file is taken for something else."""


def read_array(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the objects of an array with their numbers from 1; memory doesn't grow with the file.

    Raises BadDocumentError for what is no array of objects, naming the number, LsrError for a file that can't be read.
    """
    try:
        with _opened(path) as file:
            yield from _objects(path, file)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise LsrError(f"{path}: can't be read: {' '.join(str(error).split())}") from error


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _objects(path: Path, file: IO[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    decoder = json.JSONDecoder()
    text = file.read(CHUNK).lstrip()
    if not text.startswith("["):
        raise BadDocumentError(f"{path}: no array of JSON objects: it begins with {text[:20]!r}; is it JSON Lines?")
    text, number, size = text[1:], 0, CHUNK
    while True:
        text = text.lstrip()
        while not text and (more := file.read(CHUNK)):
            text = more.lstrip()
        if text.startswith("]"):
            return
        if number and text.startswith(","):
            text = text[1:].lstrip()
        try:
            value, end = decoder.raw_decode(text)
        except RecursionError:
            raise BadDocumentError(f"{path}, record {number + 1:,}: the JSON is nested too deeply") from None
        except json.JSONDecodeError as error:
            more = file.read(size) if len(text) < MOST_CHARACTERS else ""
            if not more:
                raise BadDocumentError(f"{path}, record {number + 1:,}: broken JSON: {error.msg}") from None
            text, size = text + more, size * 2  # so that long objects aren't begun ever again
            continue
        number, size, text = number + 1, CHUNK, text[end:]
        if not isinstance(value, dict):
            raise BadDocumentError(f"{path}, record {number:,}: {type(value).__name__}; a JSON object was expected")
        yield number, value
