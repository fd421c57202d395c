"""Limits of a segment: the documents and postings that it takes before the next segment begins."""

from __future__ import annotations

from dataclasses import dataclass

from lsr.errors import UsageError
from lsr.kernels.geometry import MAX_DOCS


@dataclass(frozen=True, slots=True)
class SegmentLimits:
    """Size at which a segment is full.

    n_docs: largest number of documents (default: 2²⁴, the most that a posting can address).
    n_postings: number of postings from which no batch is added (default: 2²⁸; 0: a segment for each batch).
    """

    n_docs: int = MAX_DOCS
    n_postings: int = 1 << 28

    def __post_init__(self) -> None:
        if not 1 <= self.n_docs <= MAX_DOCS:
            raise UsageError(f"a segment holds 1 to {MAX_DOCS:,} documents, not {self.n_docs:,}: choose n_docs so")
        if self.n_postings < 0:
            raise UsageError(f"{self.n_postings:,} is no number of postings: choose n_postings of 0 or more")


DEFAULT_LIMITS = SegmentLimits()
