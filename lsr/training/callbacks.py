"""Callbacks of a training: checkpoints, evaluations, signals."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback

from lsr.training.trainer import SparseTrainer

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Flag that a signal asked the training to end. signal_name: None while there was none."""

    def __init__(self) -> None:
        self.signal_name: str | None = None

    def __bool__(self) -> bool:
        return self.signal_name is not None


@contextmanager
def graceful_stop() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a request, which ends the training after its step; a second interrupts.

    Outside the main thread, where signals don't come, nothing is changed.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: Any) -> None:
        del frame
        if request:
            raise KeyboardInterrupt
        request.signal_name = signal.Signals(number).name
        log.info(f"{request.signal_name}: saving a checkpoint after this step; a second signal stops at once")

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StepCallback(TrainerCallback):
    """Callback after each step: updates λ, and requests checkpoints, evaluations and new negatives when due."""

    def __init__(self, trainer: SparseTrainer, request: StopRequest) -> None:
        self._trainer = trainer
        self._request = request
        self._saved_at = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Update λ, and request what is due."""
        del args, kwargs
        self._trainer.end_step()
        settings = self._trainer.config
        limit = settings.train.minutes
        is_over = self._trainer.any_process(limit is not None and self._trainer.seconds >= 60 * limit)[0]
        step, is_last = state.global_step, is_over or state.global_step >= state.max_steps
        if settings.eval.measures and (is_last or (settings.eval.every and step % settings.eval.every == 0)):
            control.should_evaluate = True
        every = settings.train.checkpoint_every
        minutes = (time.monotonic() - self._saved_at) / 60
        is_asked, is_due = self._trainer.any_process(bool(self._request), minutes >= settings.train.checkpoint_minutes)
        if is_last or is_asked or is_due or (every and step % every == 0):
            control.should_save = True
        if is_over:
            self._trainer.end_early()
            control.should_training_stop = True
        if self._trainer.negatives_are_due:
            control.should_save = control.should_training_stop = True
        if is_asked:
            self._request.signal_name = self._request.signal_name or "a signal"
            control.should_training_stop = True
            control.should_evaluate = False
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Remember the time."""
        del args, state, control, kwargs
        self._saved_at = time.monotonic()
