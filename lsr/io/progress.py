"""Progress of long work: the listener, and one that ignores it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener to stages one after another, each with a count of `unit`s."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Begin a stage; total None where it isn't known."""
        ...

    def advance(self, n: int) -> None:
        """Report that n more units are done."""
        ...


class Silence:
    """A listener that ignores everything."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Ignore."""

    def advance(self, n: int) -> None:
        """Ignore."""
