"""Folding of accents: words that differ in accents alone become one."""

from __future__ import annotations

import re
import unicodedata

_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ı": "i"}
)
"""Letters that Unicode doesn't split into a letter and a mark."""
# Accents of Latin, Greek and Cyrillic, Hebrew points, Arabic vowel signs. Marks of other scripts tell words apart.
_MARKS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u0655\u0670]+")


def fold(text: str) -> str:
    """Return a lower-cased text without accents: `crème brûlée` as `creme brulee`, `straße` as `strasse`."""
    if text.isascii():
        return text
    split = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return unicodedata.normalize("NFC", _MARKS.sub("", split))


def fold_others(text: str, kept: str) -> str:
    """Return a lower-cased text without the accents of letters that are not among those `kept`."""
    if text.isascii() or not kept:
        return text
    return "".join(character if character.isascii() or character in kept else fold(character) for character in text)
