"""The stand-in for an encoder, of an index whose vectors come ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lsr.errors import UsageError
from lsr.types import Document, SparseBatch

READY_VECTORS = "vectors"
"""The kind of encoder that a manifest names where there is none."""


class ReadyVectors:
    """Stands for an encoder where vectors come ready; its vocabulary is what they bring.

    terms: the vocabulary of an index that vectors are added to, term i having id i.
    """

    corpus_weighting = None
    description: Mapping[str, Any] = {"kind": READY_VECTORS, "name": "ready vectors", "query_side": "none"}

    def __init__(self, terms: Iterable[str] = ()) -> None:
        self.terms: list[str] = list(terms)
        self._ids: dict[str, int] = {term: i for i, term in enumerate(self.terms)}

    def term_id(self, term: str) -> int:
        """Return the id of a term, a new one if it hasn't been seen."""
        found = self._ids.get(term)
        if found is None:
            found = self._ids[term] = len(self.terms)
            self.terms.append(term)
        return found

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Refuse."""
        raise UsageError("an index of ready vectors takes vectors, not text: --vectors FILE.parquet")

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Refuse."""
        raise UsageError("this index was made from ready vectors, so it takes encoded queries: --queries FILE")

    def save_query_side(self, folder: Path) -> None:
        """Write nothing: queries come encoded."""
