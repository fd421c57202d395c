"""Phrases: words that follow each other in a text, whole, in any case and with any accents; identifiers with signs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from lsr.encoders.lexical.analyser import NEWEST, Analyser, AnalyserSettings
from lsr.encoders.lexical.folding import fold
from lsr.io.text_cache import TextCache


class Signed(NamedTuple):
    """An identifier or emoji of a phrase. at: number of the phrase's words before it."""

    at: int
    term: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase, as it is compared with texts.

    words: folded, without possessive endings. signed: its identifiers and emoji, which have to be there with their
    signs. A phrase without either holds nothing to be found (`is_empty`).
    """

    words: tuple[str, ...]
    signed: tuple[Signed, ...] = ()

    @classmethod
    def of(cls, text: str) -> Phrase:
        """Return the phrase that a text is."""
        words, signed = _tokens(text)
        return cls(tuple(words), tuple(signed))

    @property
    def is_empty(self) -> bool:
        """True for a phrase of no word, identifier or emoji."""
        return not self.words and not self.signed

    def is_in(self, text: str) -> bool:
        """Return whether a text holds the phrase."""
        if text.isascii():
            lowered = text.lower()
            if not all(word in lowered for word in self.words):
                return False
        if not self.words:
            there = {signed.term for signed in _tokens(text)[1]}
            return all(signed.term in there for signed in self.signed)
        if f" {' '.join(self.words)} " not in _joined(text):
            return False
        return not self.signed or self._is_signed_in(text)

    def _is_signed_in(self, text: str) -> bool:
        words, signed = _tokens(text)
        there: dict[str, set[int]] = {}
        for each in signed:
            there.setdefault(each.term, set()).add(each.at)
        # Fewer places with each identifier and word: comparing the whole phrase at each takes the square of the text.
        places = set(range(len(words) - len(self.words) + 1))
        for of in self.signed:
            places = {place for place in places if place + of.at in there.get(of.term, ())}
        for number, word in enumerate(self.words):
            places = {place for place in places if words[place + number] == word}
        return bool(places)


_known: TextCache[str] = TextCache(2_000_000)
"""The words of the last texts, since all phrases of a query are looked up in the same few."""


def _joined(text: str) -> str:
    """Return the words of a text with one space before, between and behind them."""
    found = _known.get(text)
    if found is None:
        found = f" {' '.join(_words(text))} "
        _known.put(text, found)
    return found


@cache
def _analyser() -> Analyser:
    return Analyser(AnalyserSettings("none", "none", NEWEST))


def _words(text: str) -> Iterator[str]:
    words = _analyser().plain_words(text)
    if not text.isascii():
        words = fold(" ".join(words).replace("’", "'")).split(" ")
    return (word.removesuffix("'s") for word in words)


def _tokens(text: str) -> tuple[list[str], list[Signed]]:
    """Return the words of a text, and its identifiers and emoji, each with the number of words before its chunk."""
    words: list[str] = []
    signed: list[Signed] = []
    for chunk in text.split():
        # A pair of ideographs says no more than the two, one after the other.
        signed += [Signed(len(words), term) for term in _analyser().signed(chunk) if not term.isalpha()]
        words += filter(None, _words(chunk))
    return words, signed
