"""Parts that all retrievers share: opening an index, metadata of a hit, the error of a missing framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsr.api.index import Index, open  # noqa: A004
from lsr.errors import LsrError, UsageError
from lsr.types import Hit


class MissingFrameworkError(LsrError):
    """A framework that isn't installed."""

    def __init__(self, package: str) -> None:
        super().__init__(f"this needs the package {package!r}: pip install {package}")


def opened(index: Any) -> Index:
    """Return an index, opened by its path or URL where it isn't open. Raises UsageError for anything else."""
    if isinstance(index, Index):
        return index
    if not isinstance(index, str | Path):
        raise UsageError(f"index is {index!r:.60}; it must be an Index, or the path or URL of one")
    return open(index)


def metadata_of(hit: Hit) -> dict[str, Any]:
    """Return the metadata of a hit: its fields, and its title, passage and file where it has them."""
    found: dict[str, Any] = dict(hit.fields)
    if hit.title:
        found["title"] = hit.title
    if hit.passage is not None:
        found["passage"] = list(hit.passage)
    for name in ("path", "line", "page", "cell", "stale"):
        if (value := getattr(hit, name)) is not None:
            found[name] = value
    return found
