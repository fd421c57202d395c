"""Parser of TOML values into checked dataclasses; errors name the key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from lsr.errors import UsageError

_Settings = TypeVar("_Settings")

RENAMED = {"data.mining.haystack": "data.mining.candidate_pool"}
"""Keys of earlier versions with their names now."""

_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def parse_settings(kind: type[_Settings], values: Mapping[str, Any], where: str) -> _Settings:
    """Make a dataclass of a table's values; `where` is the table's name in errors.

    Raises UsageError for a key that is unknown, renamed or missing, or has a value of another type.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    unknown = [key for key in values if key not in known]
    if unknown and (renamed := RENAMED.get(_join(where, unknown[0]))):
        raise UsageError(f"config: {_join(where, unknown[0])} is now called {renamed}: rename it")
    if unknown:
        raise UsageError(f"config: {_join(where, unknown[0])} is not known{_similar(unknown[0], list(known))}")
    missing = [
        name
        for name, field in known.items()
        if field.default is MISSING and field.default_factory is MISSING and name not in values
    ]
    if missing:
        raise UsageError(f"config: {_join(where, missing[0])} is missing")
    return kind(**{key: _convert(value, hints[key], _join(where, key)) for key, value in values.items()})


def one_of(value: str, known: Sequence[str], where: str) -> None:
    """Raise UsageError unless a value is one of those known."""
    if value not in known:
        raise UsageError(f"config: {where} is {value!r}, but has to be one of {', '.join(known)}")


def at_least(value: float | None, least: float, where: str) -> None:
    """Raise UsageError for a number below the least."""
    if value is not None and not value >= least:
        raise UsageError(f"config: {where} is {value}, but has to be {least} or more")


def above(value: float | None, bound: float, where: str) -> None:
    """Raise UsageError for a number that isn't above a bound."""
    if value is not None and not value > bound:
        raise UsageError(f"config: {where} is {value}, but has to be above {bound}")


def _convert(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        choices = [choice for choice in get_args(hint) if choice is not type(None)]
        if value is None and len(choices) < len(get_args(hint)):
            return None
        return _convert(value, choices[0], where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            value = [value]
        return tuple(_convert(item, get_args(hint)[0], where) for item in value)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise UsageError(f"config: {where} is {value!r}, but has to be a table")
        return {str(key): _convert(item, get_args(hint)[1], f"{where}.{key}") for key, item in value.items()}
    if hasattr(hint, "__dataclass_fields__"):
        if not isinstance(value, Mapping):
            raise UsageError(f"config: {where} is {value!r}, but has to be a table")
        return parse_settings(hint, value, where)
    return _plain(value, hint, where)


def _plain(value: Any, hint: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise UsageError(f"config: {where} is {value!r}, but has to be {_NAMES[hint]}")


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _similar(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f": did you mean {near[0]!r}?" if near else f": known are {', '.join(known)}"
