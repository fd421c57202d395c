"""Parsing of Python's grammar in several threads at once."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TypeVar

from lsr.io.fork_safe import ForkSafeLock

_T = TypeVar("_T")
_TRIES = 5

# CPython 3.11 counts the depth of the tree that it builds in one place for all threads, and raises SystemError where
# another thread counted there meanwhile: a collection of garbage amid the work may let one run.
_lock = ForkSafeLock(reentrant=True)


def parse_expression(source: str) -> ast.expr:
    """Return the tree of an expression, whatever other threads parse. Raises SyntaxError."""
    return _alone(lambda: ast.parse(source, mode="eval")).body


def parse_module(source: str | bytes, filename: str = "<unknown>") -> ast.Module:
    """Return the tree of a file of Python, whatever other threads parse. Raises SyntaxError."""
    return _alone(lambda: ast.parse(source, filename))


def _alone(parse: Callable[[], _T]) -> _T:
    for _ in range(_TRIES - 1):
        try:
            with _lock:
                return parse()
        except SystemError:  # by a thread of another library, which doesn't know this lock
            continue
    with _lock:
        return parse()
