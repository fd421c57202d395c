"""The description of one search option: its type, range, help text, and how it is read from a text."""

from __future__ import annotations

import math
import numbers
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from lsr.errors import UsageError

OFF = "none"
"""Text that turns off an option with choices, where it would be on by default."""
TRUE, FALSE = ("1", "true"), ("0", "false")
SEARCH, HYBRID = "search", "hybrid search"
"""Groups of options in a command's help."""

_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSpec:
    """The description of a search option: its help text, type and range, and its names.

    kind: `int`, `float`, `text`, `names`, `numbers` or `bool`. least, most: range, both included. choices: accepted
    texts. bare: the value of the option on the command line without a value, None where it needs one. flags: names on
    the command line (default: `--name`). local: offered only where the search runs, not to clients of a server.
    may_be_off: whether the text `none` turns it off. accepts: value types of Python beside the kind, for messages.
    """

    help: str
    kind: str
    metavar: str = ""
    least: float | None = None
    most: float | None = None
    n_values: int | None = None
    choices: tuple[str, ...] = ()
    bare: Any = None
    flags: tuple[str, ...] = ()
    group: str = SEARCH
    local: bool = False
    may_be_off: bool = False
    accepts: str = ""

    def parse(self, name: str, text: str) -> Any:
        """Return the value that a text stands for. Raises UsageError naming the option."""
        if text == OFF and self.may_be_off:
            return None
        try:
            match self.kind:
                case "int":
                    return int(text) if _WHOLE.fullmatch(text) else refuse(name, text, self.expected)
                case "float":
                    return float(text)
                case "bool":
                    return _truth(name, text)
                case "names":
                    return tuple(part for part in (part.strip() for part in text.split(",")) if part)
                case "numbers":
                    return tuple(float(part) for part in text.replace(",", " ").split())
                case _:
                    return text
        except ValueError:
            refuse(name, text, self.expected)

    def check(self, name: str, value: Any) -> Any:
        """Return a value as the option's type has it. Raises UsageError saying what is accepted."""
        match self.kind:
            case "int":
                return whole_number(name, self, value)
            case "float":
                return _number(name, self, value)
            case "bool":
                return value if isinstance(value, bool) else refuse(name, value, self.expected)
            case "names":
                return _names(name, self, value)
            case "numbers":
                return _numbers(name, self, value)
            case _:
                fits = isinstance(value, str) and (not self.choices or value in self.choices)
                return value if fits else refuse(name, value, self.expected)

    @property
    def expected(self) -> str:
        """The accepted values in words."""
        low, high = (None if limit is None else f"{limit:,.12g}" for limit in (self.least, self.most))
        limits = "" if low is None else f" of at least {low}" if high is None else f" from {low} to {high}"
        match self.kind:
            case "int":
                words = f"a whole number{limits}"
            case "float":
                words = f"a finite number{limits}"
            case "bool":
                words = "True or False"
            case "names":
                words = "a name or a list of names"
            case "numbers":
                words = f"{self.n_values} numbers"
            case _:
                words = " or ".join(map(repr, self.choices)) or "a text"
        return f"{words}, or {self.accepts}" if self.accepts else words

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the option's value."""
        names = {"int": "integer", "float": "number", "text": "string", "bool": "boolean"}
        schema: dict[str, Any] = {"description": self.help}
        if self.kind in names:
            schema["type"] = names[self.kind]
        else:
            schema |= {"type": "array", "items": {"type": "string" if self.kind == "names" else "number"}}
        if self.n_values is not None:
            schema |= {"minItems": self.n_values, "maxItems": self.n_values}
        limits = {"minimum": self.least, "maximum": self.most}
        schema |= {key: limit for key, limit in limits.items() if limit is not None}
        return schema | ({"enum": list(self.choices)} if self.choices else {})


def is_whole_number(value: object) -> bool:
    """Tell whether a value is a whole number, of Python or of numpy, and no truth value."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number, of Python or of numpy, and no truth value."""
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)


def refuse(name: str, value: Any, expected: str) -> NoReturn:
    """Raise UsageError: the value of an option is not what is accepted."""
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
    raise UsageError(f"{name} is {shown}; it must be {expected}")


def _truth(name: str, text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise UsageError(f"{name} is {text!r:.40}; it must be 0 or 1")


def whole_number(name: str, spec: OptionSpec, value: Any) -> int:
    """Return a whole number in the range of an option. Raises UsageError for another type or value."""
    try:
        number = refuse(name, value, spec.expected) if isinstance(value, bool) else operator.index(value)
    except TypeError:
        refuse(name, value, spec.expected)
    if spec.least is not None and number < spec.least and spec.most is None:
        raise UsageError(f"{name} is {number}; it must be at least {spec.least:g}")
    if not (spec.least is None or spec.least <= number) or not (spec.most is None or number <= spec.most):
        refuse(name, number, spec.expected)
    return int(number)


def _number(name: str, spec: OptionSpec, value: Any) -> float:
    # A text has no __float__; what has one is a number of Python or numpy.
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        refuse(name, value, spec.expected)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        refuse(name, value, spec.expected)
    return number if math.isfinite(number) else float(refuse(name, value, spec.expected))


def _names(name: str, spec: OptionSpec, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        refuse(name, value, spec.expected)
    try:
        found = tuple(value)
    except TypeError:  # a numpy array without dimensions
        refuse(name, value, spec.expected)
    if any(not isinstance(part, str) for part in found):
        refuse(name, value, spec.expected)
    return tuple(dict.fromkeys(found))


def _numbers(name: str, spec: OptionSpec, value: Any) -> tuple[float, ...]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        refuse(name, value, spec.expected)
    found = tuple(_number(name, spec, part) for part in value)
    return found if len(found) == spec.n_values else refuse(name, value, spec.expected)
