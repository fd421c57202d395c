"""Results of systems on datasets, a JSON line each, so that a measurement that was interrupted is continued."""

from __future__ import annotations

import json
from pathlib import Path

from lsr.errors import LsrError
from lsr.eval.reports.results import Result
from lsr.io.dataclass_json import from_json, to_json

FILE = "measured.jsonl"


class Measured:
    """Results in a file, by system and dataset; of two lines of the same, the later one counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[tuple[str, str], Result] = {}
        if path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                self._read(line, f"{path}, line {number}")

    def _read(self, line: str, where: str) -> None:
        try:
            values = json.loads(line)
        except ValueError as error:
            raise LsrError(f"{where}: no JSON: {error}; remove the line, and it is measured again") from error
        result = from_json(Result, values, where=where)
        self._found[result.system, result.dataset.name] = result

    def get(self, system: str, dataset: str) -> Result | None:
        """Return the result of a system on a dataset, None where it isn't measured yet."""
        return self._found.get((system, dataset))

    def add(self, result: Result) -> None:
        """Append a result."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(to_json(result), ensure_ascii=False, allow_nan=False) + "\n")
        self._found[result.system, result.dataset.name] = result
