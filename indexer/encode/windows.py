"""A stream of documents cut into windows, in which an encoder may put texts of like length together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from lsr.types import Document

MAX_DOCUMENTS = 1024
MAX_CHARACTERS = 1 << 25
"""Of a window (32 Mi): what bounds memory where single documents are megabytes."""


class Pace:
    """Windows that take some seconds each, whatever the model and the machine.

    Large ones sort better by length; small ones show progress, and are less to lose.
    """

    def __init__(self, *, seconds: float = 5.0, least: int = 32, most: int = MAX_DOCUMENTS) -> None:
        self.documents = least
        self._seconds = seconds
        self._least = least
        self._most = most

    def after(self, n_documents: int, seconds: float) -> int:
        """Return how many documents the next window may have, after one of n_documents that took so long."""
        if seconds > 2 * self._seconds:
            self.documents = max(self._least, self.documents // 2)
        elif seconds < self._seconds / 2 and n_documents == self.documents:
            self.documents = min(self._most, 2 * self.documents)
        return self.documents


def windows(
    documents: Iterable[Document],
    *,
    max_documents: int | Pace = MAX_DOCUMENTS,
    max_characters: int = MAX_CHARACTERS,
) -> Iterator[list[Document]]:
    """Yield the documents in their order, as lists that hold at most so many documents and characters.

    A document that is longer than `max_characters` by itself makes a window by itself.
    """
    pace = max_documents if isinstance(max_documents, Pace) else None
    room = max_documents if isinstance(max_documents, int) else max_documents.documents
    window: list[Document] = []
    n_characters = 0
    for document in documents:
        length = len(document.title) + len(document.text)
        if window and (len(window) >= room or n_characters + length > max_characters):
            began = time.monotonic()
            yield window
            if pace is not None:  # the caller that asks for the next window has finished this one
                room = pace.after(len(window), time.monotonic() - began)
            window, n_characters = [], 0
        window.append(document)
        n_characters += length
    if window:
        yield window
