"""Registry of the methods that a config names: each module registers its own when it is imported."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from lsr.errors import UsageError

_Kind = TypeVar("_Kind")


class Registry(Generic[_Kind]):
    """Methods of one sort by name.

    sort: singular noun for errors, such as `loss`. package: its modules are imported before the first look, so that a
    new file in it is enough to add a method. Other programs add theirs by importing their own module first.
    """

    def __init__(self, sort: str, package: str) -> None:
        self._sort = sort
        self._package = package
        self._kinds: dict[str, _Kind] = {}
        self._is_complete = False

    def add(self, name: str, kind: _Kind) -> None:
        """Register a method. Raises ValueError for a name that is taken."""
        if name in self._kinds:
            raise ValueError(f"{self._sort} {name!r} is registered already")
        self._kinds[name] = kind

    def names(self) -> tuple[str, ...]:
        """Return the names of all methods, sorted."""
        if not self._is_complete:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__, f"{self._package}."):
                importlib.import_module(module.name)
            self._is_complete = True
        return tuple(sorted(self._kinds))

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def get(self, name: str) -> _Kind | None:
        """Return a method, None for an unknown name."""
        return self._kinds[name] if name in self else None

    def __getitem__(self, name: str) -> _Kind:
        """Return a method. Raises UsageError for an unknown name, with those there are."""
        if name not in self:
            raise UsageError(f"no {self._sort} {name!r}: there are {', '.join(self.names())}")
        return self._kinds[name]


def options_of(method: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the keyword-only parameters of a function or class, with their defaults."""
    parameters = inspect.signature(method).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}


def check_options(given: Mapping[str, Any], method: Callable[..., Any], where: str) -> None:
    """Raise UsageError for an option that a method doesn't take, or a text where it takes a number.

    where: key of the method in the config.
    """
    taken = options_of(method)
    unknown = next((name for name in given if name not in taken), None)
    if unknown is not None:
        raise UsageError(f"config: {where}.{unknown} is set, but it takes {', '.join(taken) or 'no option'}")
    for name, value in given.items():
        usual = taken[name]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(usual, (int, float)) and not isinstance(usual, bool) and not is_number:
            raise UsageError(f"config: {where}.{name} is {value!r:.60}, but has to be a number")
