"""How long work tells how far it is; silent unless somebody listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener: stages one after another, each with a count of `unit`s."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Begin a stage; total None where it isn't known."""
        ...

    def advance(self, n: int) -> None:
        """Say that n more units are done."""
        ...


class Silence:
    """Listens to nothing."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Ignore."""

    def advance(self, n: int) -> None:
        """Ignore."""
