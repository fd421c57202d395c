"""Ids as words of TREC's runs and qrels, whose columns white space divides."""

from __future__ import annotations

import re
from urllib.parse import unquote

from lsr.errors import LsrError
from lsr.io.printable import UNSAFE

_DIVIDES = re.compile(rf"[\s{UNSAFE}]")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def to_word(text: str, what: str) -> str:
    """Return an id as one word: white space, controls (also of direction) and `%` become %XX.

    An id without white space and without anything that looks like an escape is written as it is. Raises LsrError for
    an empty id.
    """
    if not text:
        raise LsrError(f"a TREC run can't hold an empty {what}: give it at least one character")
    if text.isprintable() and " " not in text and not _ESCAPE.search(text):
        return text
    return _DIVIDES.sub(_escaped, text.replace("%", "%25"))


def from_word(word: str) -> str:
    """Return the id that a word stands for; a word whose escapes aren't UTF-8 stands for itself."""
    if "%" not in word or not _ESCAPE.search(word):
        return word
    try:
        return unquote(word, errors="strict")
    except UnicodeDecodeError:
        return word


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))
