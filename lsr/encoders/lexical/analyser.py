"""Analysis of text into the terms of lexical retrieval."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any

import Stemmer

from lsr.errors import EncoderError, UsageError
from lsr.io.fork_safe import ForkSafeLock

ANALYSER_REVISION = 1
"""Raised whenever the same text would give other terms: an older index then asks to be rebuilt."""

MAX_WORD_LENGTH = 255
"""Characters of a word that are kept; more is never a word (Lucene's limit)."""

_LUCENE_ENGLISH = """
    a an and are as at be but by for if in into is it no not of on or such
    that the their then there these they this to was will with
"""
ENGLISH_STOP_WORDS = frozenset(_LUCENE_ENGLISH.split())
STOP_WORDS: Mapping[str, frozenset[str]] = {"english": ENGLISH_STOP_WORDS, "none": frozenset()}

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
# Scripts written without spaces: each character is a word.
_IDEOGRAPH = re.compile("[\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")


@cache
def _word_with_marks() -> re.Pattern[str]:
    r"""Words whose letters carry combining marks, as in Devanagari: `\w` alone would split them there."""
    ranges = ((0x300, 0x2000), (0x20D0, 0x2100), (0x302A, 0x3100), (0xA66F, 0xAC00), (0xFE00, 0xFE30))
    marks = "".join(
        chr(code) for first, last in ranges for code in range(first, last) if unicodedata.category(chr(code))[0] == "M"
    )
    # An underscore is a letter here: `words` removes them first, since one plain class matches faster than two.
    return re.compile(rf"\w[\w{marks}]*(?:['’]\w[\w{marks}]*)*")


@dataclass(frozen=True, slots=True)
class AnalyserSettings:
    """Settings that decide the terms of a text.

    stemmer: a Snowball language (`english`, `porter`, `german`, …) or `none`.
    stop_words: `english` or `none`.
    """

    stemmer: str = "english"
    stop_words: str = "english"

    def __post_init__(self) -> None:
        """Raise UsageError for a language that isn't known."""
        if self.stemmer != "none" and self.stemmer not in Stemmer.algorithms():
            known = ", ".join(["none", *sorted(Stemmer.algorithms())])
            raise UsageError(f"no stemmer {self.stemmer!r}: take one of {known}")
        if self.stop_words not in STOP_WORDS:
            raise UsageError(f"no stop words {self.stop_words!r}: take one of {', '.join(STOP_WORDS)}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AnalyserSettings:
        """Read the values that `to_json` wrote. Raises EncoderError for settings that this program doesn't know."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise EncoderError(f"analyser: unknown settings {', '.join(sorted(unknown))}: made by a newer program")
        return cls(**values)

    def fingerprint(self) -> str:
        """Return a hash that two analysers share only if they give the same terms."""
        text = json.dumps([ANALYSER_REVISION, self.to_json()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Analyser:
    """Splits text into lower-cased words, drops stop words, and stems the others.

    Words are runs of letters and digits, with apostrophes inside; a possessive `'s` is cut off.
    Calls from several threads are safe.
    """

    def __init__(self, settings: AnalyserSettings | None = None) -> None:
        self.settings = settings or AnalyserSettings()
        self._stop_words = STOP_WORDS[self.settings.stop_words]
        stems = self.settings.stemmer != "none"
        # The callers keep the stems that they have seen, so Snowball's own cache would only cost memory.
        self._stemmer = Stemmer.Stemmer(self.settings.stemmer, 0) if stems else None
        self._lock = ForkSafeLock()  # a Snowball stemmer holds state

    def words(self, text: str) -> list[str]:
        """Return the lower-cased words of `text`, stop words and all, in their order."""
        if text.isascii():
            return _WORD.findall(text.lower())
        # Compatibility forms (full-width letters, ligatures) and split accents count as their plain twins.
        text = unicodedata.normalize("NFKC", text).lower().replace("_", " ")
        return _word_with_marks().findall(_IDEOGRAPH.sub(r" \g<0> ", text))

    def term(self, word: str) -> str | None:
        """Return the term that a word from `words` stands for, or None for a stop word."""
        word = word[:MAX_WORD_LENGTH].replace("’", "'").removesuffix("'s")
        if word in self._stop_words:
            return None
        if self._stemmer is None:
            return word
        with self._lock:
            return str(self._stemmer.stemWord(word))

    def terms(self, text: str) -> list[str]:
        """Return the terms of `text` in their order."""
        return [term for word in self.words(text) if (term := self.term(word)) is not None]
