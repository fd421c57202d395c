"""Places of terms in a text: by an analyser's words, or by a tokenizer's offsets."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lsr.encoders.lexical.analyser import Analyser, AnalyserSettings
from lsr.encoders.lexical.exact_words import MARK
from lsr.io.text_cache import TextCache

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CHUNK = re.compile(r"\S+")
MAX_KNOWN = 100_000
"""Chunks of text whose terms are cached; a fuller cache is cleared, so that memory stays bounded."""
CACHED_CHARACTERS = 12_000_000
"""Characters of the texts whose chunks are cached."""


class TermSpan(NamedTuple):
    """text[start:end] is the term, or the word that the term is made from."""

    start: int
    end: int
    term: str


class TermFinder(Protocol):
    """Finds terms in texts."""

    def find(self, text: str) -> list[TermSpan]:
        """Return every term of `text` with its place, in order."""
        ...


class _Known(NamedTuple):
    """Chunks that were analysed: the terms of each, the chunks of each term, and those of whole texts."""

    terms: dict[str, list[TermSpan]]
    chunks: dict[str, set[str]]
    texts: TextCache[tuple[str, ...]]

    @classmethod
    def nothing(cls) -> _Known:
        """Return the state in which nothing was analysed yet."""
        return cls({}, {}, TextCache(CACHED_CHARACTERS))


class AnalysedWords:
    """Terms as an analyser makes them: stems, without stop words. Safe to use from many threads."""

    def __init__(self, settings: AnalyserSettings | None = None) -> None:
        self._analyser = Analyser(settings)
        self._known = _Known.nothing()

    def terms(self, text: str) -> list[str]:
        """Return the terms of `text` in their order."""
        return self._analyser.terms(text)

    def find(self, text: str) -> list[TermSpan]:
        """Return every term of `text` with the place of its word."""
        return [
            TermSpan(chunk.start() + start, chunk.start() + end, term)
            for chunk in _CHUNK.finditer(text)
            for start, end, term in self._in_chunk(chunk.group(), self._known)
        ]

    def find_some(self, text: str, wanted: Collection[str]) -> list[TermSpan]:
        """Return those spans of `find` whose term is wanted.

        Of a text whose chunks are all known, only those with a wanted term are looked at, so that it takes a tenth of
        the time of `find`, and of a text that was asked about lately a fiftieth.
        """
        known = self._known
        chunks = known.texts.get(text)
        if chunks is None:
            chunks = self._learn(text, known)
        with_term = _NONE.union(*(known.chunks.get(term, _NONE) for term in wanted))
        found: list[TermSpan] = []
        for chunk in with_term.intersection(chunks):
            spans = [span for span in known.terms[chunk] if span.term in wanted]
            for at in _places(chunk, text):
                found += [TermSpan(at + start, at + end, term) for start, end, term in spans]
        found.sort()
        return found

    def _learn(self, text: str, known: _Known) -> tuple[str, ...]:
        """Analyse the chunks of a text; return them."""
        chunks = set(text.split())
        for chunk in chunks.difference(known.terms):  # looks up each chunk; a view of the keys would be walked through
            self._in_chunk(chunk, known)
        found = tuple(map(sys.intern, chunks))  # shared by texts, so that a text costs 8 bytes a word
        known.texts.put(text, found)
        return found

    def _in_chunk(self, chunk: str, known: _Known) -> list[TermSpan]:
        """Return the terms in a run of characters without white space."""
        found = known.terms.get(chunk)
        if found is None:
            plain = unicodedata.normalize("NFKC", chunk).lower()
            found, at = [], 0
            # Where normalising changed the length, positions in it say nothing about the chunk.
            same = len(plain) == len(chunk)
            for word in self._analyser.plain_words(chunk):
                start = plain.find(word, at)
                at = start + len(word)
                term = self._analyser.term(word)
                if term is not None:
                    found.append(TermSpan(start, at, term) if same else TermSpan(0, len(chunk), term))
            for word in self._analyser.signed(chunk):
                if (term := self._analyser.term(word)) is None:
                    continue
                start = plain.find(word.removesuffix("()"))
                end = start + len(word) if plain.startswith(word, start) else start + len(word) - 2
                found.append(TermSpan(start, end, term) if same and start >= 0 else TermSpan(0, len(chunk), term))
            if len(known.terms) >= MAX_KNOWN and self._known is known:
                self._known = _Known.nothing()  # other threads may still use the old one
            found = sorted(set(found))
            for span in found:
                known.chunks.setdefault(span.term, set()).add(chunk)
            known.terms[chunk] = found
        return found


_NONE: frozenset[str] = frozenset()


def _places(chunk: str, text: str) -> list[int]:
    """Return the places of a chunk in a text, between white space."""
    found = []
    at = text.find(chunk)
    while at >= 0:
        end = at + len(chunk)
        if (at == 0 or text[at - 1].isspace()) and (end == len(text) or text[end].isspace()):
            found.append(at)
        at = text.find(chunk, at + 1)
    return found


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


class TokensAndWords:
    """A model's tokens, and exact words beside them."""

    def __init__(self, tokens: TermFinder, words: AnalysedWords) -> None:
        self._tokens = tokens
        self._words = words

    def find(self, text: str) -> list[TermSpan]:
        """Return every token and every word of `text` with its place, in order."""
        words = (span._replace(term=MARK + span.term) for span in self._words.find(text))
        return sorted([*self._tokens.find(text), *words])


class NoWords:
    """Finder for terms that stand in no text, such as codes of dense vectors: it finds none."""

    def find(self, text: str) -> list[TermSpan]:
        """Return nothing."""
        del text
        return []
