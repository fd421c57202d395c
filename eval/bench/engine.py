"""The one call shape in which every engine is built, opened and timed: ours and its peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lsr.types import SparseBatch


class Search(Protocol):
    """An open index with settings, ready to be timed."""

    def prepare(self, term_ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> Any:
        """Bring a query into the form the engine's own Python API takes. Not timed."""
        ...

    def search(self, query: Any, k: int) -> Any:
        """Return the k best as the engine's own Python API gives them. This call is timed."""
        ...

    def positions(self, result: Any) -> npt.NDArray[np.int64]:
        """Return the positions of the documents found, best first. Not timed."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """A line in the tables: an index and the settings of its search.

    name: shown. index: names the built index; settings with the same one share it. build, search: options.
    approximate: whether it may miss documents by design. note: what a reader must know to judge the numbers.
    """

    name: str
    index: str
    build: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    approximate: bool = False
    note: str = ""


class Engine(Protocol):
    """A module that builds and opens an engine's indexes."""

    PACKAGE: str
    """The distribution that has it."""
    SETTINGS: tuple[Setting, ...]

    def load(self) -> None:
        """Import what the engine needs. No clock runs."""
        ...

    def build(self, documents: SparseBatch, order: npt.NDArray[np.int64], folder: Path, /, **options: Any) -> None:
        """Build an index of the documents, taken in the given order, in an empty folder.

        order: of positions; every engine is to return positions, not places in the order.
        """
        ...

    def open_index(self, folder: Path, /) -> Any:
        """Open a built index."""
        ...

    def searcher(self, index: Any, /, **options: Any) -> Search:
        """Return an open index with settings of its search."""
        ...
