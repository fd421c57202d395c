"""TensorBoard, Weights & Biases, MLflow and Trackio as trackers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lsr.training.cached_folder import digest_of
from lsr.training.trackers.base import BOARD, TrackedRun, Tracker, register_tracker

PROJECT = "lsr-search"


class _Board:
    """TensorBoard's file in the run's folder."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def add(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Logging:
    """A library with `log(values, step=…)` and `finish()`."""

    def __init__(self, log: Any, finish: Any) -> None:
        self._log = log
        self._finish = finish

    def add(self, step: int, values: Mapping[str, float]) -> None:
        self._log(dict(values), step=step)

    def close(self) -> None:
        self._finish()


@register_tracker("tensorboard")
def tensorboard(module: Any, run: TrackedRun) -> Tracker:
    """Open TensorBoard's file; rows behind the step that a run resumes from are dropped."""
    del module
    from torch.utils.tensorboard import SummaryWriter

    purged = None if run.resumed_at is None else run.resumed_at + 1
    return _Board(SummaryWriter(str(run.folder / BOARD), purge_step=purged))


@register_tracker("wandb")
def wandb(module: Any, run: TrackedRun) -> Tracker:
    """Begin a run of Weights & Biases, of the same id when it is resumed."""
    identity = digest_of(str(run.folder.resolve()))
    begun = module.init(
        project=PROJECT, name=run.name, id=identity, config=dict(run.config), dir=str(run.folder), resume="allow"
    )
    return _Logging(begun.log, begun.finish)


@register_tracker("trackio")
def trackio(module: Any, run: TrackedRun) -> Tracker:
    """Begin a run of Trackio."""
    module.init(project=PROJECT, name=run.name, config=dict(run.config), resume="allow")
    return _Logging(module.log, module.finish)


@register_tracker("mlflow")
def mlflow(module: Any, run: TrackedRun) -> Tracker:
    """Begin a run of MLflow."""
    module.set_experiment(PROJECT)
    module.start_run(run_name=run.name)
    module.log_params({name: str(value)[:500] for name, value in _flat(run.config).items()})
    return _Logging(lambda values, step: module.log_metrics(_plain_names(values), step=step), module.end_run)


def _plain_names(values: Mapping[str, float]) -> dict[str, float]:
    """Return values by names that MLflow takes, which have no @."""
    return {name.replace("@", "_at_"): value for name, value in values.items()}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {before + key: value}
    return found
