"""Counts of the tokens that documents have, and of those that are read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TokenCount:
    """Tokens of documents, special ones and prompts not among them, and how many of them a model reads.

    documents: number of documents. longer: those longer than a model reads at once. tokens: of all documents, titles
    among them. read: of those the ones that are encoded. pieces: texts that are encoded: documents, or passages.
    estimated: whether the ends of very long texts were estimated by their characters.
    """

    documents: int = 0
    longer: int = 0
    tokens: int = 0
    read: int = 0
    pieces: int = 0
    estimated: bool = False

    def add(self, n_tokens: int, n_read: int, *, is_longer: bool, n_pieces: int = 1, estimated: bool = False) -> None:
        """Count a document."""
        self.documents += 1
        self.longer += is_longer
        self.tokens += n_tokens
        self.read += n_read
        self.pieces += n_pieces
        self.estimated |= estimated
