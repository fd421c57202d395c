"""Names of the passages of a document, which are no other document's id."""

from __future__ import annotations

from lsr.types import PASSAGE_MARK


def passage_id(doc_id: str, number: int) -> str:
    """Return the name of a document's passage, counted from 0, which is no other document's id.

    The first has the document's own, so that two documents of one id are noticed.
    """
    return doc_id if number == 0 else f"{PASSAGE_MARK}{number}{PASSAGE_MARK}{doc_id}"


def early_passage_id(doc_id: str, number: int) -> str:
    """Return the name that a passage had in early indexes, which another document might have as its id."""
    return doc_id if number == 0 else f"{doc_id}#{number}"
