"""Places of terms in a text: by an analyser's words, or by a tokenizer's offsets."""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lsr.encoders.lexical.analyser import Analyser, AnalyserSettings
from lsr.encoders.lexical.exact_words import MARK
from lsr.io.text_cache import TextCache

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CHUNK = re.compile(r"\S+")
MAX_KNOWN, MAX_KNOWN_CHARACTERS = 100_000, 1_000_000
"""Chunks whose terms are cached, and their characters together, each of which may take 250 bytes."""
LONGEST_KNOWN = 1000
"""Characters of a chunk up to which it is cached: a longer one is not met again."""
LONGEST_LEARNED = 20_000
"""Characters of a text up to which its terms are cached by number: as many as a snippet looks through."""
CACHED_CHARACTERS = 12_000_000
"""Characters of the texts whose terms are cached, which takes about two bytes a character."""


class TermSpan(NamedTuple):
    """text[start:end] is the term, or the word that the term is made from."""

    start: int
    end: int
    term: str


Placed = tuple[int, int, str]
"""A TermSpan, or a plain tuple, which costs a sixth of one where most are dropped again."""


class TermFinder(Protocol):
    """Finds terms in texts."""

    def find(self, text: str) -> list[TermSpan]:
        """Return every term of `text` with its place, in order."""
        ...

    def find_some(self, text: str, wanted: Collection[str]) -> Sequence[Placed]:
        """Return those spans of `find` whose term is wanted."""
        ...


class _Places(NamedTuple):
    """The terms of a text by their numbers, ascending, with the places of their words."""

    numbers: array[int]
    starts: array[int]
    ends: array[int]


class _Known:
    """Chunks that were analysed and the terms of each, the numbers of terms, and texts that were looked through."""

    __slots__ = ("characters", "chunks", "next_number", "numbers", "texts")

    def __init__(self) -> None:
        self.chunks: dict[str, list[Placed]] = {}
        self.characters = 0  # of the chunks, about: threads may lose some
        self.numbers: dict[str, int] = {}
        self.next_number: Iterator[int] = count()
        self.texts: TextCache[_Places] = TextCache(CACHED_CHARACTERS)

    def number(self, term: str) -> int:
        """Return the number of a term. One may be drawn in vain, but never twice, so threads need no lock."""
        found = self.numbers.get(term)
        return self.numbers.setdefault(term, next(self.next_number)) if found is None else found


class AnalysedWords:
    """Terms as an analyser makes them: stems, without stop words. Safe to use from many threads.

    most_known: chunks of text whose terms are cached; a fuller cache is cleared, so that memory stays bounded.
    """

    def __init__(self, settings: AnalyserSettings | None = None, *, most_known: int = MAX_KNOWN) -> None:
        self._most_known = most_known
        self._analyser = Analyser(settings)
        self._known = _Known()

    def terms(self, text: str) -> list[str]:
        """Return the terms of `text` in their order."""
        return self._analyser.terms(text)

    def find(self, text: str) -> list[TermSpan]:
        """Return every term of `text` with the place of its word."""
        return [TermSpan(*placed) for placed in self._find(text, self._known)]

    def find_some(self, text: str, wanted: Collection[str]) -> Sequence[Placed]:
        """Return those spans of `find` whose term is wanted.

        Of a text that was asked about lately no word is looked at: its terms are cached by number.
        """
        known = self._known
        if len(text) > LONGEST_LEARNED:
            return self._find(text, known, wanted)
        places = known.texts.get(text)
        if places is None:
            places = self._learn(text, known)
        numbers, starts, ends = places
        found: list[Placed] = []
        for term in wanted:
            number = known.numbers.get(term)
            if number is None:
                continue
            at = bisect_left(numbers, number)
            while at < len(numbers) and numbers[at] == number:
                found.append((starts[at], ends[at], term))
                at += 1
        found.sort()
        return found

    def _find(self, text: str, known: _Known, wanted: Collection[str] | None = None) -> list[Placed]:
        """Return the terms of a text with their places, in order. wanted: which terms (default: all)."""
        return [
            (chunk.start() + start, chunk.start() + end, term)
            for chunk in _CHUNK.finditer(text)
            for start, end, term in self._in_chunk(chunk.group(), known, wanted)
            if wanted is None or term in wanted
        ]

    def _learn(self, text: str, known: _Known) -> _Places:
        """Look through a text and cache its terms."""
        found = sorted((known.number(term), start, end) for start, end, term in self._find(text, known))
        columns = zip(*found, strict=True) if found else ((), (), ())
        places = _Places(*(array("i", column) for column in columns))
        known.texts.put(text, places)
        if len(known.numbers) > 4 * self._most_known:  # terms of long chunks, of which none is cached
            self._forget(known)
        return places

    def _in_chunk(self, chunk: str, known: _Known, wanted: Collection[str] | None) -> list[Placed]:
        """Return the terms in a run of characters without white space, at least the wanted ones."""
        if len(chunk) > LONGEST_KNOWN:
            return self._analysed(chunk, wanted)
        found = known.chunks.get(chunk)
        if found is None:
            found = self._analysed(chunk)
            known.chunks[chunk] = found
            known.characters += len(chunk)
            if len(known.chunks) >= self._most_known or known.characters > MAX_KNOWN_CHARACTERS:
                self._forget(known)
        return found

    def _forget(self, known: _Known) -> None:
        if self._known is known:
            self._known = _Known()  # other threads may still use the old one

    def _analysed(self, chunk: str, wanted: Collection[str] | None = None) -> list[Placed]:
        plain = unicodedata.normalize("NFKC", chunk).lower()
        # Where normalising changed the length, positions in it say nothing about the chunk.
        same = len(plain) == len(chunk)
        words, signed = self._analyser.plain_words(chunk), self._analyser.signed_at(plain)
        # A long chunk may repeat few.
        terms = {word: self._analyser.term(word) for word in {*words, *(word for *_, word in signed)}}
        if wanted is not None:
            terms = {word: term if term in wanted else None for word, term in terms.items()}
        found: list[Placed] = []
        at = 0
        for word in words:
            start = plain.find(word, at)
            at = start + len(word)
            if (term := terms[word]) is not None:
                found.append((start, at, term) if same else (0, len(chunk), term))
        for start, end, word in signed:
            if (term := terms[word]) is not None:
                found.append((start, end, term) if same else (0, len(chunk), term))
        found.sort()
        return list(dict.fromkeys(found))


class Tokens:
    """Terms as a tokenizer makes them, by its offsets. tokenizer: configured here, so nothing else may use it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = getattr(tokenizer.model, "unk_token", None)

    def find(self, text: str) -> list[TermSpan]:
        """Return every token of `text` with its place, white space left out.

        An unknown piece is returned as it is written, which is no term of an index.
        """
        from lsr.encoders.text.tokenizer import clean

        encoding = self._tokenizer.encode(clean(text), add_special_tokens=False)
        found = []
        for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
            piece = text[start:end]
            start += len(piece) - len(piece.lstrip())
            end -= len(piece) - len(piece.rstrip())
            if start < end:
                found.append(TermSpan(start, end, text[start:end] if token == self._unknown else token))
        return found

    def find_some(self, text: str, wanted: Collection[str]) -> Sequence[Placed]:
        """Return those spans of `find` whose term is wanted."""
        return [span for span in self.find(text) if span.term in wanted]


class TokensAndWords:
    """A model's tokens, and exact words beside them."""

    def __init__(self, tokens: TermFinder, words: AnalysedWords) -> None:
        self._tokens = tokens
        self._words = words

    def find(self, text: str) -> list[TermSpan]:
        """Return every token and every word of `text` with its place, in order."""
        words = (span._replace(term=MARK + span.term) for span in self._words.find(text))
        return sorted([*self._tokens.find(text), *words])

    def find_some(self, text: str, wanted: Collection[str]) -> Sequence[Placed]:
        """Return those spans of `find` whose term is wanted."""
        wanted_words = [term.removeprefix(MARK) for term in wanted if term.startswith(MARK)]
        words = [(start, end, MARK + term) for start, end, term in self._words.find_some(text, wanted_words)]
        return sorted([*self._tokens.find_some(text, wanted), *words])


class NoWords:
    """Finder for terms that stand in no text, such as codes of dense vectors: it finds none."""

    def find(self, text: str) -> list[TermSpan]:
        """Return nothing."""
        del text
        return []

    def find_some(self, text: str, wanted: Collection[str]) -> Sequence[Placed]:
        """Return nothing."""
        del text, wanted
        return ()
