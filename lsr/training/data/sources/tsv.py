"""TSV files of examples: triples and pairs, by texts or by ids, as MS MARCO has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lsr.errors import BadDocumentError
from lsr.io.text_files import numbered_lines
from lsr.training.data.sources.records import POSITIVE, POSITIVE_ID, QUERY, QUERY_ID

BY_TEXT = ("query", "positive", "negative")
BY_ID = ("query_id", "positive_id", "negative_id")


def read_tsv(path: Path, *, by_ids: bool) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the records of a TSV file: a query, its positive, and any number of negatives, none included.

    A first line that names query and positive is a header. by_ids: whether a file without one has ids.
    Raises BadDocumentError for a line with another number of columns than the first.
    """
    columns: tuple[str, ...] | None = None
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if columns is None:
            columns = _header(cells)
            if columns is not None:
                continue
            columns = _unnamed(path, number, len(cells), BY_ID if by_ids else BY_TEXT)
        if len(cells) != len(columns):
            raise BadDocumentError(
                f"{path}, line {number:,}: {len(cells)} columns, but the first line has {len(columns)}: "
                f"{', '.join(columns)}"
            )
        yield number, dict(zip(columns, cells, strict=True))


def _header(cells: list[str]) -> tuple[str, ...] | None:
    names = [cell.strip().lower() for cell in cells]
    has_query = any(name in (*QUERY, *QUERY_ID) for name in names)
    return tuple(cells) if has_query and any(name in (*POSITIVE, *POSITIVE_ID) for name in names) else None


def _unnamed(path: Path, number: int, n_columns: int, names: tuple[str, str, str]) -> tuple[str, ...]:
    if n_columns < 2:
        raise BadDocumentError(
            f"{path}, line {number:,}: one column; a query, its positive and perhaps negatives were expected, with "
            "tabs between them"
        )
    if n_columns == 3:
        return names
    by_id = names == BY_ID
    more = tuple(f"negative_{i}" for i in range(1, n_columns - 1))
    if by_id and more:
        raise BadDocumentError(f"{path}, line {number:,}: {n_columns} columns; ids of a triple or a pair were expected")
    return names[:2] + more
