"""Files of queries: JSONL, CSV, and lines of `query_id TAB text`, with or without a line that names the columns."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lsr.errors import BadDocumentError, LsrError
from lsr.io.text_files import numbered_lines

ID_NAMES = ("_id", "id", "query_id", "query-id", "queryid", "qid", "topic", "topic_id", "number")
TEXT_NAMES = ("text", "query", "query_text", "title", "question", "contents")
"""Names of keys and columns, the first that is there."""


def read_queries(path: Path) -> dict[str, str]:
    """Read `{query_id: text}` from a file of queries, `.gz` or plain.

    JSONL has objects with keys such as `_id` and `text`, or `id` and `query`. Other files have `query_id TAB text`, or
    columns that their first line names; `.csv` files have commas. Raises LsrError, with file and line, for a broken
    line or a duplicate id.
    """
    texts: dict[str, str] = {}
    for number, query_id, text in _query_lines(path):
        if query_id in texts:
            raise LsrError(f"{path}:{number}: the query id {query_id!r} is there a second time")
        texts[query_id] = text
    if not texts:
        raise LsrError(f"{path}: no queries in the file")
    return texts


def _query_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    if {".jsonl", ".ndjson"} & set(path.suffixes):
        for number, entry in json_lines(path):
            yield number, _id_of(entry, path, number), _text_of(entry, path, number)
        return
    delimiter = "," if ".csv" in path.suffixes else "\t"
    places: tuple[int, int] | None = None
    for n_before, (number, cells) in enumerate(_rows(path, delimiter)):
        if n_before == 0 and (places := _named(cells)):
            continue
        id_at, text_at = places or (0, 1)
        if len(cells) <= max(id_at, text_at) or not cells[id_at].strip():
            wanted = "query_id,text" if delimiter == "," else "query_id TAB text"
            raise LsrError(f"{path}:{number}: not a query: expected {wanted}")
        text = cells[text_at] if places else delimiter.join(cells[1:])
        yield number, cells[id_at].strip(), text.strip()


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    if delimiter == "\t":
        for number, line in numbered_lines(path):
            yield number, line.split("\t")
        return
    number = 0

    def lines() -> Iterator[str]:
        nonlocal number
        for number, line in numbered_lines(path):  # noqa: B007  read by the caller
            yield line + "\n"

    try:
        for cells in csv.reader(lines(), strict=True):
            yield number, cells
    except csv.Error as error:
        raise LsrError(f"{path}:{number}: not CSV: {error}") from None


def _named(cells: list[str]) -> tuple[int, int] | None:
    """Return the places of id and text in a line that names the columns; None for another line."""
    names = [cell.strip().lower() for cell in cells]
    id_at = next((names.index(name) for name in ID_NAMES if name in names), None)
    text_at = next((names.index(name) for name in TEXT_NAMES if name in names), None)
    return None if id_at is None or text_at is None else (id_at, text_at)


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line. Raises BadDocumentError for a line that is none."""
    for number, line in numbered_lines(path):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise BadDocumentError(f"{path}:{number}: broken JSON: {why}") from error
        if not isinstance(entry, dict):
            raise BadDocumentError(f"{path}:{number}: a JSON object was expected, not {type(entry).__name__}")
        yield number, entry


def _id_of(entry: Mapping[str, Any], path: Path, number: int) -> str:
    key = next((name for name in ID_NAMES if name in entry), "_id")
    return id_text(entry.get(key), f"{path}:{number}: {key!r}")


def id_text(value: Any, place: str) -> str:
    """Return an id as a text, 1239.0 as 1239, as documents have it. Raises BadDocumentError naming the place."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise BadDocumentError(f"{place} is {value!r}, not a text; every line needs its own")
    return str(value)


def _text_of(entry: Mapping[str, Any], path: Path, number: int) -> str:
    key = next((name for name in TEXT_NAMES if name in entry), None)
    value = None if key is None else entry[key]
    if value is not None and not isinstance(value, str):
        raise BadDocumentError(f"{path}:{number}: {key!r} is {type(value).__name__}, not text")
    return value or ""
