"""The interface of an engine that vectors are handed to, and the registry of engines."""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError

NAMES = (
    "elasticsearch", "opensearch", "opensearch-ann", "qdrant", "milvus", "pgvector", "vespa", "anserini", "pisa",
    "seismic", "duckdb",
)  # fmt: skip
WHOLE = 255
"""Largest weight of a query where an engine takes whole ones: 8 bits."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of an export. scale: score of one point, an impact of 1 by a query weight of 1."""

    n_docs: int
    n_terms: int
    scale: float
    name: str
    part_docs: int


class Point(NamedTuple):
    """A document as engines take it. position: from 0, in the order of addition; terms: by name, with impacts."""

    position: int
    doc_id: str
    title: str
    text: str
    fields: Mapping[str, Any]
    term_ids: npt.NDArray[np.int32]
    impacts: npt.NDArray[np.uint8]
    terms: tuple[str, ...]

    @property
    def vector(self) -> dict[str, int]:
        """The impacts by term."""
        return dict(zip(self.terms, self.impacts.tolist(), strict=True))


class QueryTerms(NamedTuple):
    """An encoded query: terms that the index knows, with ids and weights above 0. n_terms: of the vocabulary."""

    terms: tuple[str, ...]
    term_ids: tuple[int, ...]
    weights: tuple[float, ...]
    n_terms: int

    def times(self, factor: float) -> QueryTerms:
        """Return the query with all weights multiplied."""
        return self._replace(weights=tuple(weight * factor for weight in self.weights))

    def whole(self, largest: int = WHOLE) -> tuple[QueryTerms, float]:
        """Return the query with whole weights, and what one of them stands for. Weights that are whole stay."""
        weights = np.array(self.weights, np.float64)
        most = float(weights.max(initial=0.0))
        if most <= largest and np.array_equal(weights, np.rint(weights)):
            return self._replace(weights=tuple(map(int, self.weights))), 1.0
        unit = most / largest
        rounded = np.rint(weights / unit).astype(np.int64)
        kept = np.flatnonzero(rounded).tolist()
        found = QueryTerms(
            tuple(self.terms[i] for i in kept), tuple(self.term_ids[i] for i in kept),
            tuple(int(rounded[i]) for i in kept), self.n_terms,
        )  # fmt: skip
        return found, unit

    def below(self, largest: float) -> tuple[QueryTerms, float]:
        """Return the query with weights up to `largest`, divided by a power of two, and that power."""
        divisor = 1.0
        while max(self.weights, default=0.0) / divisor > largest:
            divisor *= 2
        return self.times(1 / divisor), divisor

    @property
    def by_term(self) -> dict[str, float]:
        """The weights by term."""
        return dict(zip(self.terms, self.weights, strict=True))

    @property
    def by_id(self) -> dict[int, float]:
        """The weights by term id."""
        return dict(zip(self.term_ids, self.weights, strict=True))


class Writer(Protocol):
    """Takes the documents of an export, one after another."""

    def write(self, point: Point) -> None:
        """Write one."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class Engine(ABC):
    """An engine: the files that it loads, its limits, and the form of its queries. title: its name for people."""

    name: str
    title: str

    @abstractmethod
    def writer(self, folder: Path, facts: Facts) -> Writer:
        """Return a writer of the data, into a folder."""

    @abstractmethod
    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the query as the engine takes it, and the score that 1 of its scores stands for.

        The second is to be multiplied by the scale of the export.
        """

    @abstractmethod
    def files(self, facts: Facts) -> dict[str, str]:
        """Return the files beside the data by name: the mapping or schema, and `README.txt`."""

    def fault(self, point: Point) -> str | None:
        """Return which limit of the engine a document breaks, None for none."""
        return None

    def leaves_out(self, point: Point) -> str | None:
        """Return why a document is not written, None where it is."""
        return None


class Lines:
    """Writes text lines of documents into numbered parts."""

    def __init__(self, folder: Path, facts: Facts, suffix: str, line: Callable[[Point], str]) -> None:
        self._folder, self._facts, self._suffix, self._line = folder, facts, suffix, line
        self._file: Any = None
        self._n_written = 0

    def write(self, point: Point) -> None:
        """Write one document's lines."""
        if self._n_written % self._facts.part_docs == 0:
            self.close()
            name = f"part-{self._n_written // self._facts.part_docs:05d}.{self._suffix}"
            self._file = (self._folder / name).open("w", encoding="utf-8", errors="surrogatepass", newline="\n")
        self._file.write(self._line(point) + "\n")
        self._n_written += 1

    def close(self) -> None:
        """Close the part."""
        if self._file is not None:
            self._file.close()
            self._file = None


def compact(value: Any) -> str:
    """Return a value as one line of JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def find_engine(name: str) -> Engine:
    """Return the engine of a name. Raises UsageError, listing them, for another."""
    if name not in NAMES:
        raise UsageError(f"no engine {name!r:.60}: there are {', '.join(NAMES)}")
    module = importlib.import_module(f"lsr.handoff.engines.{name.replace('-', '_')}")
    found: Engine = module.ENGINE
    return found
