"""The kinds of file that are read, told from their names."""

from __future__ import annotations

from enum import Enum

MAX_DOCUMENT_BYTES = 128 << 20
"""The most that one document may take in its file (a text file, a line, a JSON value): what bounds the memory."""


class Kind(Enum):
    """What a file holds."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"

    @property
    def unit(self) -> str:
        """How a place inside such a file is counted."""
        return "row" if self is Kind.PARQUET else "line"


SUFFIXES = {
    ".txt": Kind.TEXT,
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".jsonl": Kind.JSONL,
    ".ndjson": Kind.JSONL,
    ".json": Kind.JSON,
    ".csv": Kind.CSV,
    ".tsv": Kind.TSV,
    ".parquet": Kind.PARQUET,
}

KINDS_READ = ".txt .md .html .jsonl .json .csv .tsv .parquet, and .gz of these"


def kind_of(name: str) -> tuple[Kind, bool] | None:
    """Return the kind of the file of this name and whether it is gzipped; None where it isn't read."""
    lower = name.lower()
    compressed = lower.endswith(".gz")
    if compressed:
        lower = lower[:-3]
    stem, dot, suffix = lower.rpartition(".")
    kind = SUFFIXES.get(dot + suffix) if stem else None
    return None if kind is None else (kind, compressed)
