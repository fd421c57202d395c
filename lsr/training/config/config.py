"""Config of a training: encoder, data, losses, teachers, sparsity, steps, evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lsr.errors import UsageError
from lsr.training.config.data import DataSettings
from lsr.training.config.encoder import EncoderSettings
from lsr.training.config.losses import LossSettings, TeacherSettings
from lsr.training.config.settings import one_of, parse_settings
from lsr.training.config.sparsity import SparsitySettings
from lsr.training.config.steps import EvalSettings, TrainSettings
from lsr.training.losses.base import LOSSES, NO_TEACHER, SCORES, VECTORS
from lsr.training.registry import check_options


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Config of a training. loss: by registered name. name, paper, description: of a recipe."""

    encoder: EncoderSettings
    train: TrainSettings
    loss: dict[str, LossSettings]
    sparsity: SparsitySettings = field(default_factory=SparsitySettings)
    data: DataSettings = field(default_factory=DataSettings)
    teacher: tuple[TeacherSettings, ...] = ()
    eval: EvalSettings = field(default_factory=EvalSettings)
    name: str = ""
    paper: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        for name, settings in self.loss.items():
            one_of(name, LOSSES.names(), "loss")
            check_options(settings.options, LOSSES[name].function, f"loss.{name}")
        if not any(loss.weight for loss in self.loss.values()):
            raise UsageError("config: no loss has a weight: there is nothing to learn")
        taught = [name for name in self.loss if LOSSES[name].teacher != NO_TEACHER]
        if taught and not self.teacher:
            raise UsageError(f"config: loss.{taught[0]} needs a [[teacher]], but there is none")
        if self.teacher and not taught:
            raise UsageError(
                f"config: teacher {self.teacher[0].name!r} is not used by any loss: add loss.kl or another"
            )
        for one in self.data.sets:
            for name in one.losses:
                one_of(name, tuple(self.loss), "data.sets.….losses")
        if self.data.mining is not None and any(teacher.name == "file" for teacher in self.teacher):
            raise UsageError(
                "config: teacher 'file' has scores of the files' own negatives, but data.mining finds others"
            )
        if self.losses_with(VECTORS) and self.encoder.dense is None:
            name = next(iter(self.losses_with(VECTORS)))
            raise UsageError(f"config: loss.{name} trains a dense head, but there is no [encoder.dense]")
        if self.eval.every and not self.eval.measures:
            raise UsageError(
                "config: eval.every is set, but eval.datasets names no BEIR folder, and there is no eval.tasks"
            )

    def losses_with(self, teacher: str) -> dict[str, LossSettings]:
        """Return the losses whose teachers give `scores`, `vectors` or `none`, by name."""
        return {name: loss for name, loss in self.loss.items() if LOSSES[name].teacher == teacher}

    @property
    def taught_losses(self) -> dict[str, LossSettings]:
        """Losses that compare the student's scores with those of teachers."""
        return self.losses_with(SCORES)

    def losses_of(self, source: int) -> frozenset[str]:
        """Return the names of the losses that learn from the examples of a data set."""
        chosen = self.data.sets[source].losses if self.data.sets else ()
        return frozenset(chosen or self.loss)

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON values."""
        return asdict(self)


def make_config(values: Mapping[str, Any]) -> TrainingConfig:
    """Make a config of a TOML file's values. Raises UsageError naming what is wrong in them."""
    return parse_settings(TrainingConfig, values, "")
