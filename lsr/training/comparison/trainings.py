"""Trainings that are compared: a recipe each, with the changes that make it this one, and the budget of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lsr.errors import UsageError
from lsr.training.config.config import TrainingConfig, make_config
from lsr.training.config.toml_values import read_config, with_overrides
from lsr.training.recipes import RECIPES_FOLDER

START, CORPUS, TITLES = "{start}", "{corpus}", "{titles}"
"""Places in changes: of a checkpoint with a fitted head, of lists of corpora and of files with titles."""


@dataclass(frozen=True, slots=True)
class Training:
    """Training by a recipe. changes: as of `--set`. without: tables that are left out. same_as: another's model.

    same_as: a model whose weights this one has; document: the parts of its documents' side that differ.
    """

    name: str
    recipe: str = ""
    changes: tuple[str, ...] = ()
    without: tuple[tuple[str, str], ...] = ()
    same_as: str = ""
    document: tuple[tuple[str, Any], ...] = ()

    @property
    def needs_head(self) -> bool:
        """True where the checkpoint needs a masked-LM head."""
        return any(START in change for change in self.changes)


_FROM_HEAD = f'encoder.start="{START}"'
_BESIDE = "splade-small"

TRAININGS = (
    Training("splade-small", _BESIDE, (_FROM_HEAD,)),
    Training("df-flops", _BESIDE, (_FROM_HEAD, "sparsity.documents.regulariser=df-flops")),
    Training("term-budget", _BESIDE, (_FROM_HEAD, "sparsity.documents.regulariser=term-budget")),
    Training("casper", "casper", (_FROM_HEAD, f"encoder.phrases.corpus={CORPUS}")),
    Training("dyvo", "dyvo", (_FROM_HEAD, f"encoder.phrases.corpus={CORPUS}", f"encoder.phrases.titles={TITLES}")),
    Training("sparc", "sparc", (f"encoder.phrases.corpus={CORPUS}",)),
    Training("sparc-tokens", "sparc", without=(("encoder", "phrases"),)),
    Training("uhd", "uhd"),
    Training("uhd-graded", same_as="uhd", document=(("wide.binary", False),)),
    Training("denoising", "denoising"),
    Training("denoising-ranking", "denoising", without=(("loss", "overlap"),)),
    Training("slim", _BESIDE, (_FROM_HEAD, "encoder.family=slim")),
    Training("slim-maxima", _BESIDE, (_FROM_HEAD, "encoder.family=slim", "train.scores=sums-of-maxima")),
)
"""In the order in which they are made."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Budget of every training. steps, batch_size, negatives, max_length, learning_rate: as of a config.

    freeze_layers: of six. Learning rates of heads are those of the recipes.
    """

    steps: int = 150
    batch_size: int = 8
    negatives: int = 1
    max_length: int = 80
    freeze_layers: int = 4
    learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        """Raise UsageError for numbers that don't fit."""
        if self.steps < 1:
            raise UsageError(f"budget: {self.steps} steps, but has to be 1 or more")

    def to_json(self) -> dict[str, Any]:
        """Return its values."""
        return asdict(self)

    def changes(self) -> list[str]:
        """Return what it changes in a config."""
        values = {
            "data.negatives": self.negatives,
            "encoder.freeze_layers": self.freeze_layers,
            "train.steps": self.steps,
            "train.batch_size": self.batch_size,
            "train.max_length": self.max_length,
            "train.learning_rate": self.learning_rate,
            "train.warmup": self.steps // 10,
        }
        return [f"{key}={value}" for key, value in values.items()]


def config_of(
    training: Training,
    budget: Budget,
    pairs: Path,
    *,
    start: Path,
    corpora: Sequence[Path] = (),
    titles: Sequence[Path] = (),
    more: Sequence[str] = (),
) -> TrainingConfig:
    """Return the config of a training.

    pairs: the examples. start: checkpoint with a fitted head. corpora: whose phrases become terms. titles: documents
    whose titles are entities. more: changes behind all others.
    """
    values = read_config(RECIPES_FOLDER / f"{training.recipe}.toml")
    for table, key in training.without:
        del values[table][key]
    places = {
        START: str(start),
        CORPUS: str([str(path) for path in corpora]),
        TITLES: str([str(path) for path in titles]),
    }
    changes = []
    for change in training.changes:
        for place, value in places.items():
            change = change.replace(place, value)
        changes.append(change)
    ramps = [
        f"sparsity.{side}.ramp={max(1, budget.steps // 2)}" for side in values.get("sparsity", {}) if side in _SIDES
    ]
    return make_config(with_overrides(values, [*changes, *budget.changes(), *ramps, f'data.files=["{pairs}"]', *more]))


_SIDES = ("documents", "queries")
