"""Tools in general: a name, a description, a schema of the arguments, and the function that answers by a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from lsr.errors import UsageError
from lsr.server.served_index import ServedIndex, ServedIndexes

SYNONYMS = {"limit": "k", "top_k": "k", "n": "k", "filter": "where", "q": "query", "id": "doc_id", "ids": "doc_ids"}
INDEX = "index"
"""Argument that names the index, where there are several."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool. parameters: JSON Schemas of its arguments by name. required: those that must be given."""

    name: str
    description: str
    parameters: Mapping[str, Mapping[str, Any]]
    answer: Callable[[ServedIndex, Mapping[str, Any]], str]
    required: tuple[str, ...] = ()

    def schema(self, indexes: ServedIndexes) -> dict[str, Any]:
        """Return the JSON Schema of the arguments; that of the index is among them where there are several."""
        properties = dict(self.parameters)
        if len(indexes) > 1:
            properties[INDEX] = {
                "type": "string", "enum": list(indexes), "description": f"the index (default: {indexes.first.name})",
            }  # fmt: skip
        return {
            "type": "object",
            "properties": properties,
            "required": list(self.required),
            "additionalProperties": False,
        }

    def call(self, indexes: ServedIndexes, arguments: Mapping[str, Any]) -> str:
        """Return the answer to some arguments. Raises UsageError for an unknown or a missing one."""
        given = dict(arguments)
        known = self.schema(indexes)["properties"]
        for name in given:
            if name not in known:
                near = [SYNONYMS[name]] if SYNONYMS.get(name) in known else get_close_matches(name, known, n=2)
                hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known) or 'none'}"
                raise UsageError(f"{self.name} has no parameter {name!r:.80}: {hint}")
        for name in self.required:
            if name not in given:
                raise UsageError(f"{self.name} needs the parameter {name!r}: {known[name]['description']}")
        name = given.pop(INDEX, indexes.first.name)
        if not isinstance(name, str) or name not in indexes:
            raise UsageError(f"no index {name!r:.80}: there are {', '.join(indexes)}")
        return self.answer(indexes[name], given)


def text_of(given: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return an argument that is a text. Raises UsageError."""
    value = given.get(name, default)
    if not isinstance(value, str) or not value:
        raise UsageError(f"{name} is {value!r:.80}; it must be a text")
    return value


def count_of(given: Mapping[str, Any], name: str, *, default: int, most: int) -> int:
    """Return an argument that is a whole number of at least 1. Raises UsageError."""
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UsageError(f"{name} is {value!r:.80}; it must be a whole number from 1 to {most:,}")
    return value
