"""Interface of teachers, their registry, and the keys of their caches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lsr.training.data.example import Example, Examples
from lsr.training.registry import Registry
from lsr.types import Document

Scores = npt.NDArray[np.float32]
"""float32, (n_queries, n_documents)."""

Wanted = npt.NDArray[np.bool_]
"""bool, (n_queries, n_documents): the requested cells."""

Advance = Callable[[int], None]

DIGEST_BYTES = 16


def ignore(n: int) -> None:
    """Ignore progress."""


class Teacher(Protocol):
    """Scorer of documents for queries. A score is computed once: later it comes from the teacher's cache."""

    @property
    def name(self) -> str:
        """Name given to `open_teacher`, recorded with the training."""
        ...

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Wanted | None = None) -> Scores:
        """Return a row a query, a column a document; cells that aren't wanted may be NaN, all others are finite.

        wanted: default, all cells. Raises LsrError where a wanted score can't be had.
        """
        ...

    def prepare(self, examples: Iterable[Example], advance: Advance = ignore) -> int:
        """Fill the cache with what scoring the examples' own documents needs; return the number of new values.

        advance: receives the number of further examples that are done. Interrupted, the same call resumes.
        """
        ...


@dataclass(frozen=True, slots=True)
class TeacherRequest:
    """Teacher to open, as `open_teacher` was asked for it. model: folder or hub name, "" for one without a model."""

    name: str
    model: str
    cache: Path | None
    documents: Callable[[], Iterable[Document]] | None
    examples: Examples | None


@dataclass(frozen=True, slots=True)
class TeacherKind:
    """Registered teacher. open: makes one, with its options as keywords. takes_model: whether it is `NAME:MODEL`."""

    open: Callable[..., Teacher]
    takes_model: bool


TEACHERS: Registry[TeacherKind] = Registry("teacher", "lsr.training.teachers")


def register_teacher(
    name: str, *, takes_model: bool = False
) -> Callable[[Callable[..., Teacher]], Callable[..., Teacher]]:
    """Register the function below, which opens a teacher for a `TeacherRequest`, as teacher `name`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        TEACHERS.add(name, TeacherKind(function, takes_model))
        return function

    return register


def text_digest(text: str, side: str) -> bytes:
    """Return the key of a text. side: `query` or `document`, which a teacher may read differently."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES, person=side.encode()).digest()


def pair_digest(query: str, document: Document) -> bytes:
    """Return the key of a query and a document, title and text together."""
    both = text_digest(query, "query") + text_digest(document.full_text, "document")
    return blake2b(both, digest_size=DIGEST_BYTES).digest()


def rows_wanted(wanted: Wanted | None, n: int, axis: int) -> list[int]:
    """Return the queries (axis 1) or documents (axis 0) with any requested cell."""
    if wanted is None:
        return list(range(n))
    return [int(i) for i in np.flatnonzero(wanted.any(axis=axis))]
