"""Dataclasses as JSON and back, every value checked against its type when it is read."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from lsr.errors import LsrError

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Return JSON values for a dataclass: its fields by name, nested ones too. A float that is not finite is None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def from_json(kind: type[T], value: Any, *, where: str) -> T:
    """Build the dataclass `kind` from JSON values.

    Raises LsrError, with `where` and the path of the field, for a missing or unknown field or a value of another type.
    """
    return typing.cast(T, _decode(kind, value, where))


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _decode_fields(typing.cast(type, kind), value, where)
    if origin in (types.UnionType, typing.Union):
        return _decode_union(arguments, value, where)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        _expect(isinstance(value, dict), where, "an object", value)
        return {key: _decode(arguments[1], inner, f"{where}.{key}") for key, inner in value.items()}
    if origin in (tuple, list):
        _expect(isinstance(value, list), where, "a list", value)
        return origin(_decode(arguments[0], inner, f"{where}[{i}]") for i, inner in enumerate(value))
    if kind is float:
        _expect(isinstance(value, (int, float)) and not isinstance(value, bool), where, "a number", value)
        return float(value)
    _expect(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)), where, kind.__name__, value)
    return value


def _decode_fields(kind: type, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), where, "an object", value)
    hints = typing.get_type_hints(kind)
    names = {field.name for field in dataclasses.fields(kind)}
    for problem, found in (("lacks", names - value.keys()), ("has unknown fields", value.keys() - names)):
        if found:
            raise LsrError(f"{where}: {problem} {', '.join(sorted(found))}; it was not made by this version")
    return kind(**{name: _decode(hints[name], value[name], f"{where}.{name}") for name in names})


def _decode_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    others = [argument for argument in arguments if argument is not type(None)]
    if len(others) != 1:
        raise TypeError(f"{where}: only unions with None can be read back, not {arguments}")
    return _decode(others[0], value, where)


def _expect(holds: bool, where: str, wanted: str, value: Any) -> None:
    if not holds:
        raise LsrError(f"{where}: expected {wanted}, not {value!r:.80}")
