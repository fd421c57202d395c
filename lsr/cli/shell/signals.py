"""Signals that end a command as an exception, even where a library loses the exception."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

TERMINATED = 143
_received: list[signal.Signals] = []


@contextmanager
def signals_heeded() -> Iterator[list[signal.Signals]]:
    """Let SIGINT and SIGTERM end the command as an exception, so that unfinished work is removed; yield those received.

    The handlers are afterwards as they were. Outside the main thread nothing is changed: signals belong to that one.
    A signal that the caller ignores, as `nohup` does, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    _received.clear()
    for number in before:
        if before[number] in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _end)
    try:
        yield _received
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: a handler that wasn't set from Python, which can't be set again from here
                signal.signal(number, handler)
        _received.clear()


def check_signals() -> None:
    """Raise again what a signal raised if a library lost it, as in a callback of compiled code."""
    if _received and threading.current_thread() is threading.main_thread():
        raise _exception_of(_received[0])


def _end(number: int, _: object) -> None:
    _received.append(signal.Signals(number))
    raise _exception_of(number)


def _exception_of(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(TERMINATED)
