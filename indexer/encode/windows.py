"""A stream of documents cut into windows, in which an encoder may put texts of like length together.

Windows depend on the documents alone, never on how long anything takes: an encoder whose vectors depend on what is in
a batch gives the same ones in each run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lsr.types import Document

MAX_DOCUMENTS = 256
"""Documents of a window: enough to sort by length, few enough that progress shows and little is lost."""

MAX_TOKENS = 1 << 15
"""Tokens that are encoded of a window (32 Ki), by estimate."""

MAX_CHARACTERS = 1 << 25
"""Characters of a window (32 Mi): what bounds memory where single documents are megabytes."""

CHARACTERS_PER_TOKEN = 4
"""Characters of an estimated token, so that nothing is tokenised twice."""


def windows(
    documents: Iterable[Document],
    *,
    max_documents: int = MAX_DOCUMENTS,
    max_characters: int = MAX_CHARACTERS,
    max_tokens: int | None = None,
    text_length: int | None = None,
) -> Iterator[list[Document]]:
    """Yield the documents in their order, as lists of bounded size.

    max_documents, max_characters, max_tokens: bounds of a window, tokens by estimate (None: any number); a document
    beyond one of them is a window by itself. text_length: tokens of a document that an encoder reads (None: all).
    """
    window: list[Document] = []
    n_characters = n_tokens = 0
    for document in documents:
        length = len(document.title) + len(document.text)
        tokens = length // CHARACTERS_PER_TOKEN + 1
        if text_length is not None:
            tokens = min(tokens, text_length)
        is_full = len(window) >= max_documents or n_characters + length > max_characters
        if window and (is_full or (max_tokens is not None and n_tokens + tokens > max_tokens)):
            yield window
            window, n_characters, n_tokens = [], 0, 0
        window.append(document)
        n_characters += length
        n_tokens += tokens
    if window:
        yield window
