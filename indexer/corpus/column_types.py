"""Types of the columns of a table of texts, derived from all their cells."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WHOLE = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})?(?:\.\d*)?(?:(?<=[\d.])[eE][+-]?\d{1,3})?", re.ASCII)
_FLOAT_ID = re.compile(r"-?\d+\.0+", re.ASCII)
_TRUTHS = {"true": True, "false": False, "True": True, "False": False, "TRUE": True, "FALSE": False}
_INT, _FLOAT, _BOOL, _TEXT = "int", "float", "bool", "text"


def is_written_as_float(cells: Sequence[str]) -> bool:
    """Tell whether ids are whole numbers written as floats, as `1239.0`."""
    return all(_FLOAT_ID.fullmatch(cell) for cell in cells)


class ColumnTypes:
    """Types of columns, which hold all of their cells that aren't empty.

    Numbers with leading zeros (`007`) are texts, since they are names. Dates stay texts: filters know them.
    """

    def __init__(self, columns: Sequence[int], id_at: int) -> None:
        self._kinds: dict[int, str] = dict.fromkeys(columns, "")
        self._open = list(columns)
        self._id_at = id_at
        self._float_ids = id_at >= 0

    def see(self, row: Sequence[str]) -> None:
        """Take a row into account."""
        if self._float_ids and row[self._id_at] and not _FLOAT_ID.fullmatch(row[self._id_at]):
            self._float_ids = False
        for at in self._open:
            if row[at]:
                self._kinds[at] = _joined(self._kinds[at], row[at])
                if self._kinds[at] == _TEXT:
                    self._open = [other for other in self._open if other != at]

    def id_of(self, cell: str) -> str:
        """Return the id that a cell holds."""
        return cell.partition(".")[0] if self._float_ids else cell

    def value_of(self, at: int, cell: str) -> str | int | float | bool | None:
        """Return the value of a cell, None for an empty one."""
        if not cell:
            return None
        kind = self._kinds[at]
        if kind == _INT:
            return int(cell)
        if kind == _FLOAT:
            return float(cell)
        return _TRUTHS[cell] if kind == _BOOL else cell


def _joined(kind: str, cell: str) -> str:
    """Return the kind that holds a cell and all cells before it."""
    if cell in _TRUTHS:
        return _BOOL if kind in ("", _BOOL) else _TEXT
    if kind == _BOOL:
        return _TEXT
    if _WHOLE.fullmatch(cell):
        return kind or _INT
    if _NUMBER.fullmatch(cell) and any(map(str.isdigit, cell)) and _is_finite(cell):
        return _FLOAT
    return _TEXT


def _is_finite(cell: str) -> bool:
    return abs(float(cell)) < float("inf")
