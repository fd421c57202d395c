"""A training as a TOML file says it: encoder, data, losses, teachers, sparsity, steps, evaluation."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lsr.errors import UsageError
from lsr.training.config.data import DataSettings
from lsr.training.config.settings import above, at_least, one_of, parse_settings
from lsr.training.losses.base import CANDIDATES
from lsr.training.sparsity.schedules import SCHEDULES

REGULARISERS = ("flops", "l1", "df-flops", "idf-flops", "l0-mask")
LOSSES = ("infonce", "margin", "margin_mse", "kl", "ensemble", "regression")
TAUGHT_LOSSES = ("margin_mse", "kl", "ensemble")
PRECISIONS = ("float32", "bfloat16", "float16")
LR_SCHEDULES = ("linear", "cosine", "constant")
TABLES = ("ones", "idf")


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """What is trained.

    start: a checkpoint's folder or hub name, or `package:NAME` for a Python package that holds a folder `model`.
    family: of `lsr.encoders.families`; `saved`: `start` is an encoder that goes on with its parts, heads and table.
    document, query: parts that differ from the family, as `lsr_encoder.json` has them.
    query_start: where queries have a model of their own, the checkpoint it begins from; default, `start`.
    fit_head: settings of `lsr.training.model.fit_mlm_head`, which makes the head that `start` lacks.
    freeze_layers: so many of the lowest layers stay as they are, and the embeddings with them, in the head too.
    freeze_embeddings: the embeddings alone. query_table: the weights that an inference-free query side begins with:
    `ones`, or `idf` over the documents of the data (of `idf_corpus`, if given), at most `idf_max`.
    learn_query_table: whether they are trained. query_repeats: how it counts repeated tokens, `once` or `log`
    (`EncoderConfig`). words, rarity: as `EncoderConfig` has them; a `saved` encoder may be given them too, as may
    `document` the pruning. dropout: in place of the model's own.
    """

    start: str
    family: str = "splade"
    document: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    dense: dict[str, Any] | None = None
    query_start: str | None = None
    fit_head: dict[str, Any] | None = None
    freeze_layers: int = 0
    freeze_embeddings: bool = False
    query_table: str = "ones"
    idf_corpus: tuple[str, ...] = ()
    idf_max: float = 10.0
    learn_query_table: bool = False
    query_repeats: str | None = None
    words: dict[str, Any] | None = None
    rarity: float | None = None
    dropout: float | None = None

    def __post_init__(self) -> None:
        at_least(self.freeze_layers, 0, "encoder.freeze_layers")
        one_of(self.query_table, TABLES, "encoder.query_table")
        above(self.idf_max, 0, "encoder.idf_max")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError(f"config: encoder.dropout is {self.dropout}, but has to be 0 or more and below 1")


@dataclass(frozen=True, slots=True)
class LossSettings:
    """One loss and its share. candidates: the documents that queries are ranked against, `own` or `batch`.

    temperature, margin, scale: where the loss has them.
    """

    weight: float = 1.0
    candidates: str | None = None
    temperature: float = 1.0
    margin: float = 1.0
    scale: float | None = None

    def __post_init__(self) -> None:
        at_least(self.weight, 0, "loss.….weight")
        above(self.temperature, 0, "loss.….temperature")
        if self.candidates is not None:
            one_of(self.candidates, CANDIDATES, "loss.….candidates")


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """One teacher, as `open_teacher` takes it, or `file` for scores that come with the examples. weight: among others.

    options: further ones of that teacher.
    """

    name: str
    weight: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        above(self.weight, 0, f"teacher {self.name!r}: weight")


@dataclass(frozen=True, slots=True)
class SideSettings:
    """How one side is made sparse: by a weight for the regulariser, or by a target of active terms a text, which
    is followed where both are given.

    schedule, ramp: how the weight grows, over how many steps; with a target, the steps in which the terms are brought
    to it, by default a third of all, at most 2,000. threshold: of `l0-mask`.
    horizon: of the controller, steps in which the weight grows e-fold where terms are e times too many; default, a
    twentieth of all steps, within 10 … 500. begin: the controller's first weight.
    """

    regulariser: str = "flops"
    weight: float | None = None
    target: float | None = None
    schedule: str = "constant"
    ramp: int = 0
    threshold: float = 150.0
    horizon: float | None = None
    begin: float | None = None

    def __post_init__(self) -> None:
        one_of(self.regulariser, REGULARISERS, "sparsity.….regulariser")
        one_of(self.schedule, tuple(SCHEDULES), "sparsity.….schedule")
        if self.weight is None and self.target is None:
            raise UsageError("config: sparsity of a side takes a weight, or a target of active terms")
        at_least(self.weight, 0, "sparsity.….weight")
        above(self.target, 0, "sparsity.….target")
        above(self.begin, 0, "sparsity.….begin")
        at_least(self.horizon, 1, "sparsity.….horizon")


@dataclass(frozen=True, slots=True)
class CollapseSettings:
    """Weights of the terms against collapse, see `regularisers.anti_collapse`; 0: not computed."""

    peak: float = 0.0
    spread: float = 0.0

    def __post_init__(self) -> None:
        at_least(self.peak, 0, "sparsity.collapse.peak")
        at_least(self.spread, 0, "sparsity.collapse.spread")


@dataclass(frozen=True, slots=True)
class SparsitySettings:
    """How vectors are made sparse. joint: weight of the joint FLOPS of queries and documents.

    max_terms: the training stops where texts have more on average; min_terms: or fewer; both after `patience` steps.
    sampled_terms: of the terms that no query of the batch has, so many are drawn to stand for all; 0: all are
    computed. For query tables only.
    """

    documents: SideSettings | None = None
    queries: SideSettings | None = None
    joint: float = 0.0
    collapse: CollapseSettings = field(default_factory=CollapseSettings)
    sampled_terms: int = 0
    max_terms: float = 5000.0
    min_terms: float = 0.5
    patience: int = 500

    def __post_init__(self) -> None:
        at_least(self.joint, 0, "sparsity.joint")
        at_least(self.sampled_terms, 0, "sparsity.sampled_terms")
        above(self.max_terms, self.min_terms, "sparsity.max_terms")
        at_least(self.patience, 1, "sparsity.patience")


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Steps and what they are made of.

    batch_size: examples of a step and device. accumulate: batches of a step. cached_batch: texts that are encoded
    with a gradient at a time (gradient caching); 0: all. max_length, max_query_length: tokens. warmup: steps.
    precision: of the computation; weights are float32. device: `cpu` or `cuda`; default, CUDA where there is one.
    checkpoint_every: steps; checkpoint_minutes: or so much time; keep: the newest so many.
    """

    steps: int
    batch_size: int = 32
    accumulate: int = 1
    cached_batch: int = 0
    learning_rate: float = 2e-5
    head_learning_rate: float | None = None
    table_learning_rate: float | None = None
    schedule: str = "linear"
    warmup: int = 0
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    max_length: int | None = 256
    max_query_length: int | None = 64
    precision: str = "float32"
    seed: int = 0
    device: str | None = None
    workers: int = 0
    log_every: int = 10
    checkpoint_every: int | None = None
    checkpoint_minutes: float = 5.0
    keep: int = 2

    def __post_init__(self) -> None:
        for name in ("steps", "accumulate", "log_every", "keep"):
            at_least(getattr(self, name), 1, f"train.{name}")
        at_least(self.batch_size, 2, "train.batch_size")
        for name in ("cached_batch", "warmup", "weight_decay", "max_grad_norm", "workers", "seed"):
            at_least(getattr(self, name), 0, f"train.{name}")
        for name in ("learning_rate", "head_learning_rate", "table_learning_rate", "checkpoint_minutes"):
            above(getattr(self, name), 0, f"train.{name}")
        for name in ("max_length", "max_query_length"):
            at_least(getattr(self, name), 4, f"train.{name}")
        at_least(self.checkpoint_every, 1, "train.checkpoint_every")
        one_of(self.precision, PRECISIONS, "train.precision")
        one_of(self.schedule, LR_SCHEDULES, "train.schedule")


@dataclass(frozen=True, slots=True)
class EvalSettings:
    """What is measured on the way. datasets: BEIR folders. every: steps. measure: decides which model is best.

    max_documents: of each, all judged ones and a sample of the others: faster, and numbers that compare with
    themselves only. patience: evaluations without a better one until the training stops early; 0: it doesn't.
    """

    datasets: tuple[str, ...] = ()
    split: str = "test"
    every: int = 0
    measure: str = "nDCG@10"
    max_documents: int | None = None
    patience: int = 0

    def __post_init__(self) -> None:
        at_least(self.every, 0, "eval.every")
        at_least(self.patience, 0, "eval.patience")
        at_least(self.max_documents, 1, "eval.max_documents")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """A whole training. loss: by name, of LOSSES. name, paper, description: of a recipe."""

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
        for name in self.loss:
            one_of(name, LOSSES, "loss")
        if not any(loss.weight for loss in self.loss.values()):
            raise UsageError("config: no loss has a weight: there is nothing to learn")
        taught = [name for name in (*TAUGHT_LOSSES, "regression") if name in self.loss]
        if taught and not self.teacher:
            raise UsageError(f"config: loss.{taught[0]} needs a [[teacher]], but there is none")
        if self.teacher and not taught:
            raise UsageError(f"config: teacher {self.teacher[0].name!r} is asked by no loss: add loss.kl or another")
        if self.data.mining is not None and any(teacher.name == "file" for teacher in self.teacher):
            raise UsageError(
                "config: teacher 'file' has scores of the files' own negatives, but data.mining finds others"
            )
        if "regression" in self.loss and self.encoder.dense is None:
            raise UsageError("config: loss.regression trains a dense head, but there is no [encoder.dense]")
        if self.eval.every and not self.eval.datasets:
            raise UsageError("config: eval.every is set, but eval.datasets names no BEIR folder")

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON values."""
        return asdict(self)


def read_config(path: Path) -> dict[str, Any]:
    """Read a TOML file's values. Raises UsageError for a file that can't be read, with the line where it is broken."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error


def with_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return values changed by `key=value` texts, a dotted key and a TOML value; a bare word is a text.

    Raises UsageError for one that isn't of this form.
    """
    changed = _copied(values)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {override!r}: expected key=value, such as train.steps=100")
        place = changed
        *path, leaf = key.strip().split(".")
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set {override!r}: {part} is not a table")
        place[leaf] = _toml_value(text.strip())
    return changed


def make_config(values: Mapping[str, Any]) -> TrainingConfig:
    """Make a config of a TOML file's values. Raises UsageError naming what is wrong in them."""
    return parse_settings(TrainingConfig, values, "")


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in values.items()}
