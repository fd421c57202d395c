"""Haystack's filters, dicts of comparisons and conditions, in the language of filters here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from lsr.errors import UsageError

_COMPARISONS = ("==", "!=", ">", ">=", "<", "<=", "in", "not in")
_NAMES = {"content": "text", "id": "doc_id"}


def where_of(filters: Mapping[str, Any]) -> str:
    """Return a filter of Haystack as a filter here. Raises UsageError for what is none."""
    if not isinstance(filters, Mapping) or "operator" not in filters:
        raise UsageError(f"filters are {filters!r:.100}; they must be Haystack's: {{'field', 'operator', 'value'}}")
    operator = filters["operator"]
    if "conditions" in filters:
        parts = [f"({where_of(part)})" for part in filters["conditions"]]
        if operator not in ("AND", "OR", "NOT") or not parts:
            raise UsageError(f"filters: {operator!r:.40} of {len(parts)} conditions; there are AND, OR and NOT of some")
        return f"not ({' and '.join(parts)})" if operator == "NOT" else f" {operator.lower()} ".join(parts)
    if operator not in _COMPARISONS or not isinstance(filters.get("field"), str) or "value" not in filters:
        raise UsageError(f"filters: {filters!r:.100}; a comparison has field, value, and one of {_COMPARISONS}")
    return _comparison(filters["field"].removeprefix("meta."), operator, filters["value"])


def _comparison(field: str, operator: str, value: Any) -> str:
    name = f"`{_NAMES.get(field, field)}`"
    if value is None:
        if operator not in ("==", "!="):
            raise UsageError(f"filters: {field} {operator} None; only == and != compare with None")
        return f"not exists {name}" if operator == "==" else f"exists {name}"
    if operator in ("in", "not in"):
        if not isinstance(value, list | tuple) or not value:
            raise UsageError(f"filters: {field} {operator} {value!r:.60}; the value must be a list of some")
        return f"{name} {operator} ({', '.join(map(_literal, value))})"
    found = f"{name} {operator} {_literal(value)}"
    # There a document without the field is unequal to every value.
    return f"({found} or not exists {name})" if operator == "!=" else found


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    raise UsageError(f"filters: a value is {value!r:.60}; it must be a text, a number, a truth value or a date")
