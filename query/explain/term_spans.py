"""Where the terms of an index stand in a text: by its analyser's words, or by its tokenizer's offsets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lsr.encoders.lexical.analyser import Analyser, AnalyserSettings
from lsr.encoders.lexical.exact_words import MARK, QueriesWithWords, analyser_settings, words_config
from lsr.encoders.registry import CODES
from lsr.query.idf_weighting import IdfWeightedEncoder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CHUNK = re.compile(r"\S+")
_WORD_PIECES = frozenset(("##s", "##ing", "##ed", "##er", "##ly"))
"""Some of these stand in every vocabulary of English word pieces that was not made for a few documents."""

MAX_KNOWN = 100_000
"""Chunks of text whose terms are remembered; beyond it that starts anew, so that memory stays bounded."""


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


class AnalysedWords:
    """Terms as an analyser makes them: stems, without stop words."""

    def __init__(self, settings: AnalyserSettings | None = None) -> None:
        self._analyser = Analyser(settings)
        self._known: dict[str, list[TermSpan]] = {}

    def terms(self, text: str) -> list[str]:
        """Return the terms of `text` in their order."""
        return self._analyser.terms(text)

    def find(self, text: str) -> list[TermSpan]:
        """Return every term of `text` with the place of its word."""
        return [
            TermSpan(chunk.start() + start, chunk.start() + end, term)
            for chunk in _CHUNK.finditer(text)
            for start, end, term in self._in_chunk(chunk.group())
        ]

    def _in_chunk(self, chunk: str) -> list[TermSpan]:
        """Return the terms in a run of characters without white space."""
        found = self._known.get(chunk)
        if found is None:
            plain = unicodedata.normalize("NFKC", chunk).lower()
            found, at = [], 0
            for word in self._analyser.words(chunk):
                start = plain.find(word, at)
                at = start + len(word)
                term = self._analyser.term(word)
                if term is not None:
                    # Where normalising changed the length, positions in it say nothing about the chunk.
                    same = len(plain) == len(chunk)
                    found.append(TermSpan(start, at, term) if same else TermSpan(0, len(chunk), term))
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[chunk] = found = sorted(set(found))
        return found


class Tokens:
    """Terms as a tokenizer makes them, by its offsets. tokenizer: is configured, so nobody else may use it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = getattr(tokenizer.model, "unk_token", None)

    def find(self, text: str) -> list[TermSpan]:
        """Return every token of `text` with its place, white space left out.

        What the tokenizer doesn't know stands there as it is, and is no term of an index.
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
    """A model's tokens, and the words that are terms of their own beside them."""

    def __init__(self, tokens: TermFinder, words: AnalysedWords) -> None:
        self._tokens = tokens
        self._words = words

    def find(self, text: str) -> list[TermSpan]:
        """Return every token and every word of `text` with its place, in order."""
        words = (span._replace(term=MARK + span.term) for span in self._words.find(text))
        return sorted([*self._tokens.find(text), *words])


class NoWords:
    """Finds nothing: of terms that are no words, such as codes of dense vectors."""

    def find(self, text: str) -> list[TermSpan]:
        """Return nothing."""
        del text
        return []


def term_finder(description: Mapping[str, Any], encoder: Any, vocabulary: Iterable[str] = ()) -> TermFinder:
    """Return what finds terms in texts. description: of an encoder, as a manifest has it. encoder: itself, opened.

    vocabulary: of an index of ready vectors, which doesn't say how its terms were made: word pieces are found by
    this vocabulary, if it looks like one of them, and else lower-cased words.
    """
    tokenizer = _tokenizer_of(encoder)
    if tokenizer is not None:
        from lsr.encoders.text.tokenizer import copy_of

        tokens, words = Tokens(copy_of(tokenizer)), words_config(description)
        return tokens if words is None else TokensAndWords(tokens, AnalysedWords(analyser_settings(words)))
    if description["kind"] == "vectors":
        terms = list(vocabulary)
        if not _WORD_PIECES.isdisjoint(terms):
            return Tokens(_word_pieces(terms))
        return AnalysedWords(AnalyserSettings("none", "none"))
    if description["kind"] == CODES:
        return NoWords()
    settings = description.get("settings", {}).get("analyser")
    return AnalysedWords(None if settings is None else AnalyserSettings.from_json(settings))


def _tokenizer_of(encoder: Any) -> Tokenizer | None:
    """Return the tokenizer of a query encoder: its own, or that of the model behind it."""
    while isinstance(encoder, IdfWeightedEncoder | QueriesWithWords):
        encoder = encoder.model
    inner = getattr(encoder, "encoder", encoder)
    tower = getattr(inner, "document", None)
    return getattr(inner, "tokenizer", None) or getattr(tower, "backend", None)


def _word_pieces(terms: Iterable[str]) -> Tokenizer:
    """Return a tokenizer of BERT's kind, without accents and capitals, over the terms that an index holds."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    unknown = "[UNK]"
    pieces = {term: i for i, term in enumerate(dict.fromkeys([*terms, unknown]))}
    tokenizer = Tokenizer(models.WordPiece(pieces, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
