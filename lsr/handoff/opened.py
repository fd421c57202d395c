"""An export, opened for its queries."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lsr.errors import IndexDamagedError, IndexMissingError, LsrError, UsageError
from lsr.handoff.engine import NAMES, Engine, QueryTerms, find_engine
from lsr.handoff.query_side import open_query_side
from lsr.io.folder import Folder
from lsr.types import SparseBatch

DESCRIPTION, FORMAT = "handoff.json", "lsr-handoff"


class EngineQuery(NamedTuple):
    """A query as an engine takes it. unit: the score in the index that a score of 1 in the engine stands for."""

    body: Any
    unit: float


class Handoff:
    """An export: encodes queries as the exported index does, and writes them as the engine takes them."""

    def __init__(self, folder: Path, description: dict[str, Any], *, encoder: str | Path | None = None) -> None:
        """Open the query side. encoder: where the model of the queries is now (default: where it was)."""
        self.folder = folder
        self.engine: Engine = find_engine(description["engine"])
        self.scale = float(description["scale"])
        if not 0 < self.scale < math.inf:
            raise ValueError(f"scale {self.scale}")
        self._index, self._encoder = open_query_side(folder, int(description["n_docs"]), encoder=encoder)

    def query(self, text: str, k: int = 10) -> Any:
        """Return the engine's query body for a text, for its `k` best documents."""
        return self.encode(text, k).body

    def encode(self, text: str, k: int = 10) -> EngineQuery:
        """Return the engine's query for a text, with the unit of its scores."""
        if not isinstance(text, str):
            raise UsageError(f"the query is {text!r:.60}; it must be a text")
        return self.of_vectors(self._encoder.encode_queries([text]), k)[0]

    def of_vectors(self, queries: SparseBatch, k: int = 10) -> list[EngineQuery]:
        """Return the engine's queries for encoded ones, over the vocabulary of the exported index."""
        if k < 1:
            raise UsageError(f"k is {k}; it must be at least 1")
        found = []
        for term_ids, weights in queries:
            kept = np.flatnonzero(weights > 0)
            terms = QueryTerms(
                tuple(self._index.vocabulary.term(int(term_ids[i])) for i in kept),
                tuple(term_ids[kept].tolist()),
                tuple(weights[kept].tolist()),
                len(self._index.vocabulary),
            )
            body, unit = self.engine.body(terms, k)
            found.append(EngineQuery(body, unit * self.scale))
        return found


def open(folder: str | Path, *, encoder: str | Path | None = None) -> Handoff:  # noqa: A001
    """Open what `lsr export --to ENGINE` wrote. encoder: where the model of its queries is now.

    Raises IndexMissingError where there is none, IndexDamagedError where it can't be read, EncoderError.
    """
    path = Path(folder) / DESCRIPTION
    try:
        with Folder.open(folder).open_file(DESCRIPTION) as file:
            content = json.loads(file.read(1 << 16))
    except (FileNotFoundError, NotADirectoryError):
        raise IndexMissingError(f"no export at {folder}: 'lsr export --to ENGINE {folder}' writes one") from None
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise IndexDamagedError(f"{path}: can't be read ({why}); export again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("engine") not in NAMES:
        raise IndexDamagedError(f"{path}: not the description of an export; export again")
    try:
        return Handoff(Path(folder), content, encoder=encoder)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, LsrError):
            raise
        raise IndexDamagedError(f"{path}: a field is missing or malformed ({error!r:.100}); export again") from error
