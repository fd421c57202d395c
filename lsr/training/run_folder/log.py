"""Log of a run: lines for a terminal, a CSV file, and trackers."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lsr.training.trackers.base import Tracker

log = logging.getLogger(__name__)

COLUMNS = ("step", "seconds", "loss", "document_terms", "query_terms", "FLOPS", "examples_per_s", "learning_rate")
"""Columns of every run's CSV, in this order; the losses, weights and measures of a run follow."""


class RunLog:
    """Writer of rows, each a step's numbers by name, to `log.csv` in a folder, and to the package's log.

    Rows of steps after `resumed_at` that a killed run has left are dropped. With a new column the whole file is
    written again, so that it stays one table. trackers: get each row too.
    """

    def __init__(self, folder: Path, *, resumed_at: int | None = None, trackers: Sequence[Tracker] = ()) -> None:
        self._path = folder / "log.csv"
        self.rows: list[dict[str, float]] = []
        if resumed_at is not None and self._path.is_file():
            self.rows = [row for row in read_log(self._path) if row["step"] <= resumed_at]
        self._columns = _columns_of(self.rows)
        self._write_all()
        self._trackers = tuple(trackers)

    def add(self, row: Mapping[str, float]) -> None:
        """Write a row; one of the same step as the last is merged into it."""
        values = dict(row)
        if self.rows and self.rows[-1]["step"] == values["step"]:
            self.rows[-1] |= values
            self._columns = _columns_of(self.rows)
            self._write_all()
        else:
            self.rows.append(values)
            if set(values) <= set(self._columns):
                with self._path.open("a", encoding="utf-8", newline="") as file:
                    csv.DictWriter(file, self._columns).writerow(_texts(values))
            else:
                self._columns = _columns_of(self.rows)
                self._write_all()
        log.info(line_of(values))
        finite = {name: value for name, value in values.items() if name != "step" and math.isfinite(value)}
        for tracker in self._trackers:
            tracker.add(int(values["step"]), finite)

    def close(self) -> None:
        """Flush and close the trackers."""
        for tracker in self._trackers:
            tracker.close()

    def _write_all(self) -> None:
        with self._path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(_texts(row) for row in self.rows)


def read_log(path: Path) -> list[dict[str, float]]:
    """Read the rows of a `log.csv`, each without the columns that it leaves empty."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(text) for name, text in row.items() if text} for row in csv.DictReader(file)]


def line_of(row: Mapping[str, float]) -> str:
    """Return a row as one line: the step first, and every number with its name."""
    shown = [f"step {int(row['step']):,}"]
    shown += [f"{name} {_short(value)}" for name, value in row.items() if name not in ("step", "seconds")]
    return "  ".join(shown)


def _short(value: float) -> str:
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _texts(row: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{value:.9g}" for name, value in row.items()}


def _columns_of(rows: Iterable[Mapping[str, float]]) -> list[str]:
    names = dict.fromkeys(COLUMNS)
    for row in rows:
        names |= dict.fromkeys(row)
    return list(names)
