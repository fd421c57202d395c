"""A stream of documents cut into windows, in which an encoder may put texts of like length together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lsr.types import Document

MAX_DOCUMENTS = 1024
MAX_CHARACTERS = 1 << 25
"""Of a window (32 Mi): what bounds memory where single documents are megabytes."""


def windows(
    documents: Iterable[Document], *, max_documents: int = MAX_DOCUMENTS, max_characters: int = MAX_CHARACTERS
) -> Iterator[list[Document]]:
    """Yield the documents in their order, as lists that hold at most so many documents and characters.

    A document that is longer than `max_characters` by itself makes a window of its own.
    """
    window: list[Document] = []
    n_characters = 0
    for document in documents:
        length = len(document.title) + len(document.text)
        if window and (len(window) >= max_documents or n_characters + length > max_characters):
            yield window
            window, n_characters = [], 0
        window.append(document)
        n_characters += length
    if window:
        yield window
