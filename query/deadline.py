"""A deadline of the search at hand, checked between its stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from lsr.errors import DeadlineError

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def deadline(at: float) -> Iterator[None]:
    """Let searches in this thread end by DeadlineError at the first stage after a time of `time.monotonic`."""
    token = _deadline.set(at)
    try:
        yield
    finally:
        _deadline.reset(token)


def check_deadline(stage: str) -> None:
    """Raise DeadlineError where the deadline has passed. stage: the one that would begin now."""
    at = _deadline.get()
    if at is not None and time.monotonic() > at:
        raise DeadlineError(f"the time for this search was over before its stage {stage!r}; ask for less, or again")
