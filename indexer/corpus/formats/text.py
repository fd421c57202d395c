"""Cleaning that all texts go through."""

from __future__ import annotations


def clean(text: str) -> str:
    """Return a text that any UTF-8 writer takes: NUL and lone surrogates become U+FFFD; pairs are joined.

    An unharmed text is returned as the very same object.
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
