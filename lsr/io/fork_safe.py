"""Locks and cached properties that a fork beside other threads can't freeze.

A forked process has the forking thread alone. A lock that another thread held at that moment stays locked for ever, so
that the child would wait without end.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

_T = TypeVar("_T")
_MISSING: Any = object()
_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


class ForkSafeLock:
    """A lock that is free in a forked child, even if it was held in the parent; a context manager.

    The data that it guards must be valid at every moment, since a child may see them half-changed. reentrant: a thread
    that holds it may take it again.
    """

    def __init__(self, *, reentrant: bool = False) -> None:
        self._make: Callable[[], Any] = threading.RLock if reentrant else threading.Lock
        self._lock = self._make()
        self._held: list[Any] = []
        _locks.add(self)

    def __enter__(self) -> None:
        lock = self._lock
        lock.acquire()
        self._held.append(lock)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The lock that was acquired: the caller may have forked in between, and be in the child.
        self._held.pop().release()

    def renew(self) -> None:
        """Replace the lock by a free one."""
        self._lock = self._make()


def _renew_all() -> None:
    for lock in list(_locks):
        lock.renew()


os.register_at_fork(after_in_child=_renew_all)


class cached_property(Generic[_T]):  # noqa: N801  named as the one of functools, which it replaces
    """A property that is computed once and then kept in the instance's `__dict__`.

    That of functools has, up to Python 3.11, one lock for all instances, held while a value is computed. Here threads
    that come at the same time compute it each, and the first value is kept.
    """

    def __init__(self, function: Callable[[Any], _T]) -> None:
        self._function = function
        self._name = function.__name__
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> _T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | _T:
        if instance is None:
            return self
        kept = instance.__dict__
        value = kept.get(self._name, _MISSING)
        if value is _MISSING:
            value = kept.setdefault(self._name, self._function(instance))
        found: _T = value
        return found
