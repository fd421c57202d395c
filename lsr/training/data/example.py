"""Example: a query and documents judged for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lsr.types import Document


@dataclass(frozen=True, slots=True)
class Example:
    """Query with documents judged for it: the positive first, then hard negatives.

    scores: a teacher's, one a document, where the file has them. source: number of the data set that it is of, where a
    training mixes several.
    """

    query: str
    documents: tuple[Document, ...]
    scores: tuple[float, ...] | None = None
    source: int = 0


class Examples(Protocol):
    """Random access to examples; can be pickled, and is memory-mapped where they are read from files."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Example: ...
