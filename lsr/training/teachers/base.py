"""What every teacher offers, and how texts are told apart in its cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lsr.training.data.example import Example
from lsr.types import Document

Scores = npt.NDArray[np.float32]
"""float32, (n_queries, n_documents)."""

Wanted = npt.NDArray[np.bool_]
"""bool, (n_queries, n_documents): the cells that are asked for."""

Advance = Callable[[int], None]

DIGEST_BYTES = 16


def ignore(n: int) -> None:
    """Listen to no progress."""


class Teacher(Protocol):
    """Scores documents for queries. A score is computed once: later it comes from the teacher's cache."""

    @property
    def name(self) -> str:
        """What `open_teacher` was asked for; recorded beside what was learned from it."""
        ...

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Wanted | None = None) -> Scores:
        """Return a row a query, a column a document; cells that aren't wanted may be NaN, all others are finite.

        wanted: default, all cells. Raises LsrError where a wanted score can't be had.
        """
        ...

    def prepare(self, examples: Iterable[Example], advance: Advance = ignore) -> int:
        """Compute and keep what scoring the examples' own documents will ask for; return how many values were new.

        advance: told how many examples more are done. Interrupted, the same call goes on where it was.
        """
        ...


def text_digest(text: str, side: str) -> bytes:
    """Return the key of a text. side: `query` or `document`, since a teacher may read the same text in two ways."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES, person=side.encode()).digest()


def pair_digest(query: str, document: Document) -> bytes:
    """Return the key of a query and a document, title and text together."""
    both = text_digest(query, "query") + text_digest(document.full_text, "document")
    return blake2b(both, digest_size=DIGEST_BYTES).digest()


def rows_wanted(wanted: Wanted | None, n: int, axis: int) -> list[int]:
    """Return which queries (axis 1) or documents (axis 0) have any cell that is asked for."""
    if wanted is None:
        return list(range(n))
    return [int(i) for i in np.flatnonzero(wanted.any(axis=axis))]
