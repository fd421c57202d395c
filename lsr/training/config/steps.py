"""Settings of steps and evaluations: the tables `[train]` and `[eval]` of a config."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsr.errors import UsageError
from lsr.training.config.settings import above, at_least, one_of
from lsr.training.evaluators.base import EVALUATORS
from lsr.training.registry import check_options
from lsr.training.trackers.base import TRACKERS

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("float32", "bfloat16", "float16")
LR_SCHEDULES = ("linear", "cosine", "constant")
PRODUCTS, SUMS_OF_MAXIMA = "products", "sums-of-maxima"


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Number and content of the optimizer's steps.

    minutes: of training, after which it ends before its last step (default: no limit); those before a resumption count.
    batch_size: examples of a step and device. accumulate: batches of a step. cached_batch: texts that are encoded
    with a gradient at a time (gradient caching); 0: all. max_length, max_query_length: tokens. warmup: steps.
    precision: of the computation; weights are float32. device: `auto`, `cpu`, `cuda` or `mps`
    (default: auto, CUDA where there is one, else the CPU).
    scores: `products` of a query's and a document's vectors, or `sums-of-maxima` over the vectors of their tokens, each
    of its `tokens_kept` largest weights, as `--rerank slim` has them.
    trackers: names of services and files that get the log too, beside TensorBoard where that is installed.
    checkpoint_every: steps between checkpoints; checkpoint_minutes: minutes between them. keep: number of newest
    checkpoints that are kept.
    """

    steps: int
    minutes: float | None = None
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
    scores: str = PRODUCTS
    tokens_kept: int = 16
    trackers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("steps", "accumulate", "log_every", "keep", "tokens_kept"):
            at_least(getattr(self, name), 1, f"train.{name}")
        at_least(self.batch_size, 2, "train.batch_size")
        for name in ("cached_batch", "warmup", "weight_decay", "max_grad_norm", "workers", "seed"):
            at_least(getattr(self, name), 0, f"train.{name}")
        for name in ("minutes", "learning_rate", "head_learning_rate", "table_learning_rate", "checkpoint_minutes"):
            above(getattr(self, name), 0, f"train.{name}")
        for name in ("max_length", "max_query_length"):
            at_least(getattr(self, name), 4, f"train.{name}")
        at_least(self.checkpoint_every, 1, "train.checkpoint_every")
        for name in self.trackers:
            one_of(name, TRACKERS.names(), "train.trackers")
        one_of(self.scores, (PRODUCTS, SUMS_OF_MAXIMA), "train.scores")
        one_of(self.precision, PRECISIONS, "train.precision")
        one_of(self.schedule, LR_SCHEDULES, "train.schedule")
        if self.device is not None:
            one_of(self.device, DEVICES, "train.device")

    @property
    def compared_tokens(self) -> int:
        """Weights of each token that scores compare; 0 where scores are products of texts' vectors."""
        return self.tokens_kept if self.scores == SUMS_OF_MAXIMA else 0

    @property
    def warmup_steps(self) -> int:
        """Warm-up in steps: `warmup`, or a tenth of all steps where it is as long as they are."""
        return self.warmup if self.warmup < self.steps else self.steps // 10


@dataclass(frozen=True, slots=True)
class EvalTask:
    """Another evaluation than of BEIR folders. kind: registered name. files: of examples, as `data.files` has them.

    name: for the log (default: the first file's). measure: of the values that the kind gives (default: its own).
    options: of the kind.
    """

    kind: str
    files: tuple[str, ...]
    name: str = ""
    measure: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name in the log."""
        return self.name or f"{self.kind} {Path(self.files[0]).name.partition('.')[0]}"

    def __post_init__(self) -> None:
        one_of(self.kind, EVALUATORS.names(), "eval.tasks.….kind")
        check_options(self.options, EVALUATORS[self.kind].open, f"eval.tasks.… {self.kind!r}")
        if self.measure is not None and not EVALUATORS[self.kind].takes_measure:
            raise UsageError(
                f"config: eval.tasks.….measure is set, but {self.kind!r} has one measure alone: leave it out"
            )
        if not self.files:
            raise UsageError("config: eval.tasks.….files names no file")


@dataclass(frozen=True, slots=True)
class EvalSettings:
    """Evaluation during the training. datasets: BEIR folders. every: steps. measure: decides which model is best.

    tasks: evaluations of other kinds; the model is best whose mean over datasets and tasks is largest.
    max_documents: of each dataset, all judged documents and a sample of the others: faster, but comparable only with
    itself. patience: evaluations without a better one until the training stops early; 0: it doesn't.
    """

    datasets: tuple[str, ...] = ()
    tasks: tuple[EvalTask, ...] = ()
    split: str = "test"
    every: int = 0
    measure: str = "nDCG@10"
    max_documents: int | None = None
    patience: int = 0

    def __post_init__(self) -> None:
        names = [task.label for task in self.tasks]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"config: two eval.tasks are called {twice!r}: give each a name")
        at_least(self.every, 0, "eval.every")
        at_least(self.patience, 0, "eval.patience")
        at_least(self.max_documents, 1, "eval.max_documents")

    @property
    def measures(self) -> bool:
        """True if there is anything to measure."""
        return bool(self.datasets or self.tasks)
