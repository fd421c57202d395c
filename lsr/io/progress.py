"""Progress of long work: the interface of a listener, and one that ignores everything."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listener of long work: stages one after another, each with a count of `unit`s."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Begin a stage; total None where it isn't known."""
        ...

    def advance(self, n: int) -> None:
        """Count n more units as done."""
        ...


class NoProgress:
    """Listener that ignores everything."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Ignore."""

    def advance(self, n: int) -> None:
        """Ignore."""
