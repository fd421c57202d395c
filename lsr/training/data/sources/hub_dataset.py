"""Hugging Face datasets as records: `hf:NAME`, of the hub or of a folder, streamed row by row.

`hf:NAME[:CONFIG][@SPLIT][#ROWS]`: the dataset's configuration, its split (default: train), and how many of its first
rows are read (default: all). A stream is read once, into the table of examples, and never held in memory.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.encoders.pretrained.hub_errors import is_of_hub, reason_of
from lsr.errors import LsrError, MissingExtraError, UsageError
from lsr.training.cached_folder import file_state
from lsr.training.data.sources.records import POSITIVE, POSITIVE_ID, QUERY, QUERY_ID

log = logging.getLogger(__name__)

PREFIX = "hf:"
_FORM = re.compile(r"(?P<name>[^:@#]+)(?::(?P<config>[^@#]+))?(?:@(?P<split>[^#]+))?(?:#(?P<rows>\d+))?")
_BY_ORDER = ("query", "positive", "negative")
_SAVED = ("dataset_dict.json", "state.json")
"""Files that `save_to_disk` writes into its folder."""


@dataclass(frozen=True, slots=True)
class HubDataset:
    """Dataset by its name or folder. rows: number of rows that are read, None for all."""

    name: str
    config: str | None = None
    split: str = "train"
    rows: int | None = None

    def __str__(self) -> str:
        config = "" if self.config is None else f":{self.config}"
        return f"{PREFIX}{self.name}{config}@{self.split}" + ("" if self.rows is None else f"#{self.rows}")

    def place(self, number: int) -> str:
        """Return the name of a record in errors."""
        return f"{self}, row {number:,}"

    @property
    def folder(self) -> Path | None:
        """The folder, None for a name on the hub."""
        path = Path(self.name).expanduser()
        return path if path.is_dir() else None

    def state(self) -> list[Any]:
        """Return what changes when the dataset does: the files of a folder, or the commit on the hub."""
        if self.folder is not None:
            return [file_state(path) for path in sorted(self.folder.rglob("*")) if path.is_file()]
        try:
            from huggingface_hub import HfApi
        except ImportError as error:
            raise MissingExtraError("huggingface-hub", "data") from error
        try:
            return [HfApi().dataset_info(self.name).sha]
        except Exception as error:
            if not is_of_hub(error) and not isinstance(error, ValueError):
                raise
            reason = reason_of(error)
            raise LsrError(
                f"dataset {self.name} can't be had from the hub: {reason}; or name a folder of it"
            ) from error

    def records(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the rows with their numbers from 1. Raises LsrError for a dataset that can't be read."""
        try:
            rows = self._rows()
            renamed: dict[str, str] | None = None
            for number, row in enumerate(rows, 1):
                if self.rows is not None and number > self.rows:
                    return
                if renamed is None:
                    renamed = self._renamed(row)
                yield number, {renamed.get(name, name): value for name, value in row.items()}
        except LsrError:
            raise
        except Exception as error:
            if not is_of_hub(error) and not isinstance(error, (ValueError, KeyError, RuntimeError)):
                raise
            raise LsrError(f"{self}: can't be read: {reason_of(error)}") from error

    def _rows(self) -> Any:
        try:
            import datasets
        except ImportError as error:
            raise MissingExtraError("datasets", "data") from error
        folder = self.folder
        if folder is not None and any((folder / name).is_file() for name in _SAVED):
            saved = datasets.load_from_disk(str(folder))
            if not isinstance(saved, datasets.DatasetDict):
                return saved
            if self.split not in saved:
                raise LsrError(f"{self}: no split {self.split!r}; there are {', '.join(saved)}")
            return saved[self.split]
        place = self.name if folder is None else str(folder.resolve())
        return datasets.load_dataset(place, self.config, split=self.split, streaming=True)

    def _renamed(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Return names for columns that have others: two or three texts are query, positive and negative in order."""
        names = [name.strip().lower() for name in row]
        if any(name in (*QUERY, *QUERY_ID) for name in names) and any(
            name in (*POSITIVE, *POSITIVE_ID) for name in names
        ):
            return {}
        if len(row) not in (2, 3) or not all(isinstance(value, str) for value in row.values()):
            return {}
        log.info(f"{self}: columns {', '.join(row)} are taken as {', '.join(_BY_ORDER[: len(row)])}, in this order")
        return dict(zip(row, _BY_ORDER, strict=False))


def hub_dataset(name: str) -> HubDataset | None:
    """Return the dataset of `hf:…`, None for any other name. Raises UsageError for one that isn't of this form."""
    if not name.startswith(PREFIX):
        return None
    match = _FORM.fullmatch(name.removeprefix(PREFIX))
    if match is None:
        raise UsageError(f"{name}: expected hf:NAME[:CONFIG][@SPLIT][#ROWS], such as hf:owner/name@train#10000")
    rows = None if match["rows"] is None else int(match["rows"])
    if rows == 0:
        raise UsageError(f"{name}: 0 rows: give 1 or more")
    return HubDataset(match["name"], match["config"], match["split"] or "train", rows)
