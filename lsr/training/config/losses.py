"""Settings of losses and teachers: the tables `[loss.NAME]` and `[[teacher]]` of a config."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from lsr.training.config.settings import above, at_least, one_of
from lsr.training.losses.base import CANDIDATES


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Share of a loss, and its options; those that are None have the loss's default.

    candidates: documents that queries are ranked against, `own` or `batch`. temperature, margin, scale: as in the
    loss's formula; a loss refuses those that it doesn't have. temperature_squared: whether a divergence is multiplied
    by its temperature's square.
    """

    weight: float = 1.0
    candidates: str | None = None
    temperature: float | None = None
    margin: float | None = None
    scale: float | None = None
    temperature_squared: bool | None = None

    def __post_init__(self) -> None:
        at_least(self.weight, 0, "loss.….weight")
        above(self.temperature, 0, "loss.….temperature")
        if self.candidates is not None:
            one_of(self.candidates, CANDIDATES, "loss.….candidates")

    @property
    def options(self) -> dict[str, Any]:
        """Options that are set."""
        return {name: value for name, value in asdict(self).items() if name != "weight" and value is not None}


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """Name of a teacher, as `open_teacher` takes it, its weight among others, and its options.

    name: `file` for scores that come with the examples. options: those of that kind of teacher.
    """

    name: str
    weight: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        above(self.weight, 0, f"teacher {self.name!r}: weight")
