"""Interface of trackers: rows of a log in, by step; and their registry."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lsr.errors import LsrError
from lsr.training.registry import Registry

BOARD = "tensorboard"
"""The tracker that is opened unasked, where its library is installed."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """Run of a training. config: its values. resumed_at: step of the checkpoint that it resumes from, None at first."""

    name: str
    folder: Path
    config: Mapping[str, Any]
    resumed_at: int | None = None


class Tracker(Protocol):
    """Receiver of a log's rows."""

    def add(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


TRACKERS: Registry[Callable[[Any, TrackedRun], Tracker]] = Registry("tracker", "lsr.training.trackers")
"""Functions of a library's module and a run, by the library's name."""


def register_tracker(name: str) -> Callable[[Any], Any]:
    """Register the function below as the tracker of a library's name."""

    def register(function: Any) -> Any:
        TRACKERS.add(name, function)
        return function

    return register


def open_trackers(names: Sequence[str], run: TrackedRun) -> list[Tracker]:
    """Open trackers by their names, and TensorBoard where it is installed.

    Raises LsrError for one whose library isn't installed, or can't begin.
    """
    wanted = dict.fromkeys(names)
    if importlib.util.find_spec(BOARD) is not None:
        wanted.setdefault(BOARD)
    opened: list[Tracker] = []
    for name in wanted:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise LsrError(f"train.trackers names {name!r}, which isn't installed: pip install {name}") from error
        opened.append(_opened(name, module, run))
    return opened


def _opened(name: str, module: Any, run: TrackedRun) -> Tracker:
    try:
        return TRACKERS[name](module, run)
    except LsrError:
        raise
    except Exception as error:  # of a service: no network, no account, no disk
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise LsrError(f"train.trackers: {name} can't begin: {reason:.200}; or leave it out") from error
