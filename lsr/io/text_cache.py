"""A cache of what was worked out of texts, bounded by their characters."""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")


class TextCache(Generic[Value]):
    """Values by text. Safe to use from many threads.

    characters: the most that the cached texts have together. Where they have more, those that weren't asked for lately
    are dropped: texts of the older half move to the newer one when they are asked for.
    """

    def __init__(self, characters: int) -> None:
        self._most = characters // 2
        self._older: dict[str, Value] = {}
        self._newer: dict[str, Value] = {}
        self._n = 0

    def get(self, text: str) -> Value | None:
        """Return the value of a text, None where it isn't cached."""
        found = self._newer.get(text)
        if found is None and (found := self._older.get(text)) is not None:
            self.put(text, found)
        return found

    def put(self, text: str, value: Value) -> None:
        """Cache the value of a text."""
        if self._n + len(text) > self._most:
            self._older, self._newer, self._n = self._newer, {}, 0
        self._newer[text] = value
        self._n += len(text)
