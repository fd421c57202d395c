"""The tree of a filter: its tests of fields, and how they are combined."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from lsr.errors import UsageError

SHOWN_AROUND = 60
"""Characters of a filter that an error shows before and after the place."""


class FilterError(UsageError):
    """A filter can't be understood, or doesn't fit the index. detail: the filter with a mark below the place."""

    def __init__(self, filter_text: str, position: int, message: str) -> None:
        super().__init__(f"filter, column {position + 1}: {message}")
        shown = "".join(character if character.isprintable() else " " for character in filter_text)
        begin, end = max(0, position - SHOWN_AROUND), position + SHOWN_AROUND
        self.detail = f"  {shown[begin:end]}\n  {' ' * (position - begin)}^"


class Date(NamedTuple):
    """A point in time, UTC; or a whole day."""

    start: datetime
    whole_day: bool


@dataclass(frozen=True, slots=True)
class Value:
    """A constant of a filter. value: bool, int, float, str or Date."""

    value: Any
    position: int


@dataclass(frozen=True, slots=True)
class Name:
    """A field of a filter."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field operator value`; the operator is one of ==, !=, <, <=, >, >=."""

    field: Name
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """`field in (values)`."""

    field: Name
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """`field contains value`, `value in field`."""

    field: Name
    value: Value


@dataclass(frozen=True, slots=True)
class Holds:
    """`field ~ phrase`: the field holds the words of the phrase, one after the other."""

    field: Name
    value: Value


@dataclass(frozen=True, slots=True)
class Exists:
    """`exists field`."""

    field: Name


@dataclass(frozen=True, slots=True)
class Not:
    """The documents that a filter does not allow."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Both:
    """`every and every …`, or `any or any …`."""

    operator: str
    parts: tuple[Node, ...]


Node = Comparison | OneOf | Contains | Holds | Exists | Not | Both
