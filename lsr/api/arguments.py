"""Checks of the arguments that callers give: each refusal names the argument, its value, and the accepted kinds."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from lsr.errors import UsageError
from lsr.query.option_spec import is_whole_number

SHOWN = 60
"""Characters of a refused value that a message shows."""


def shown(value: object) -> str:
    """Return a value and its kind as a message shows them, such as `42 (int)`."""
    if value is None or isinstance(value, bool):
        return repr(value)
    kind = type(value).__name__
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  an object that can't even show itself is named by its kind
        return f"a value of type {kind}"
    if len(text) > SHOWN or "\n" in text:
        return f"a value of type {kind}"
    return f"{text} ({kind})"


def is_missing(value: object) -> bool:
    """Tell whether a value stands for none: None, NaN, or pandas' NA and NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Real) and bool(value != value)


def check_count(value: Any, name: str, *, least: int = 1) -> int:
    """Return a whole number of at least `least`. Raises UsageError."""
    if not is_whole_number(value) or value < least:
        raise UsageError(f"{name} is {shown(value)}; it must be a whole number of at least {least}")
    return int(value)


def check_flag(value: Any, name: str) -> bool:
    """Return True or False. Raises UsageError for anything else."""
    if not isinstance(value, bool) and type(value).__name__ != "bool_" and type(value).__name__ != "bool":
        raise UsageError(f"{name} is {shown(value)}; it must be True or False")
    return bool(value)


def check_text(value: Any, name: str) -> str:
    """Return a text. Raises UsageError."""
    if not isinstance(value, str):
        raise UsageError(f"{name} is {shown(value)}; it must be a text (str)")
    return str(value)


def check_path(value: Any, name: str) -> Path:
    """Return the path that a `str` or `Path` names. Raises UsageError."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str) or not path or "\0" in path:
        raise UsageError(f"{name} is {shown(value)}; it must be the path of a file or folder (str or Path)")
    return Path(path)


def check_name(value: Any, name: str, what: str) -> str | Path | None:
    """Return a name or path, or None. what: the kind of thing that it names. Raises UsageError."""
    if value is None:
        return None
    if isinstance(value, os.PathLike):
        return check_path(value, name)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{name} is {shown(value)}; it must be {what}")
    return str(value)


def doc_id_text(value: Any, name: str = "doc_id") -> str:
    """Return a doc_id: a text as it is, a whole number as its decimal text. Raises UsageError."""
    if isinstance(value, str):
        text = str(value)
    elif is_whole_number(value):
        text = str(int(value))
    else:
        raise UsageError(f"{name} is {shown(value)}; a doc_id is a text (str) or a whole number")
    if not text:
        raise UsageError(f"{name} is empty; a doc_id has at least one character")
    return text


def is_one_doc_id(value: object) -> bool:
    """Tell whether a value is one doc_id, and no collection of them."""
    return isinstance(value, str) or is_whole_number(value)


def doc_ids_of(value: Any, name: str = "doc_ids") -> list[str]:
    """Return the doc_ids given: one `str` or whole number is one id, else each item is. Raises UsageError."""
    if is_one_doc_id(value):
        return [doc_id_text(value, name)]
    items = _items(value, name, "a doc_id (str or whole number), or several in a list", sets=True)
    return [doc_id_text(item, f"{name}[{number}]") for number, item in enumerate(items)]


def queries_of(value: Any, name: str = "query") -> list[str]:
    """Return the texts of a list of queries. Raises UsageError for anything but several texts in an order."""
    items = _items(value, name, "a text (str), or several in a list", sets=False)
    return [check_text(item, f"{name}[{number}]") for number, item in enumerate(items)]


def names_of(value: Any, name: str, what: str) -> tuple[str, ...]:
    """Return names: one `str` is one name, else each item is. what: the things that they name. Raises UsageError."""
    if isinstance(value, str):
        return (str(value),)
    items = _items(value, name, f"{what} (str), or several in a list", sets=False)
    return tuple(check_text(item, f"{name}[{number}]") for number, item in enumerate(items))


def _items(value: Any, name: str, accepted: str, *, sets: bool) -> Sequence[Any]:
    refused: tuple[type, ...] = (bytes, bytearray, memoryview, Mapping, os.PathLike)
    if not sets:
        refused = (*refused, Set)
    if isinstance(value, refused) or not isinstance(value, Iterable):
        raise UsageError(f"{name} is {shown(value)}; give {accepted}")
    try:
        return list(value)
    except TypeError as error:  # a numpy array without dimensions
        raise UsageError(f"{name} is {shown(value)}; give {accepted}") from error
