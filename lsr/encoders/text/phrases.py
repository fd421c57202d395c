"""Phrases as terms beside a tokenizer's tokens: their names, and where they stand in a sequence of tokens.

Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from lsr.encoders.text.term_spans import TermSpan
from lsr.encoders.text.tokenizer import clean, copy_of
from lsr.errors import EncoderError, UsageError

MARK = "&"
"""First character of a phrase's name among the terms, which tells it from tokens."""
FORMAT = 1
MOST_PHRASES = 1 << 20
LONGEST = 16
"""Tokens of a phrase, at most."""


class Occurrence(NamedTuple):
    """A phrase by its number, at tokens first … last − 1."""

    first: int
    last: int
    phrase: int


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases by number. names: as they are written. tokens: of each, ids of the tokenizer that it was made with."""

    names: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]

    @property
    def terms(self) -> list[str]:
        """The phrases as terms of a vocabulary."""
        return [MARK + name for name in self.names]

    @property
    def digest(self) -> str:
        """A hash of names and tokens."""
        return hashlib.sha256(json.dumps([self.names, self.tokens]).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the phrases as JSON values."""
        rows = [[name, list(ids)] for name, ids in zip(self.names, self.tokens, strict=True)]
        return {"format": FORMAT, "phrases": rows}


class PhraseMatcher:
    """Finds phrases in sequences of token ids: those that begin and end between words.

    tokenizer: tells which tokens continue a word; only read.
    """

    def __init__(self, phrases: Phrases, tokenizer: Tokenizer) -> None:
        self.phrases = phrases
        self._numbers = {ids: number for number, ids in enumerate(phrases.tokens)}
        self._lengths = sorted({len(ids) for ids in phrases.tokens}, reverse=True)
        self._starts = {ids[0] for ids in phrases.tokens}
        self._continues = continuations(tokenizer)
        self._tokenizer = tokenizer

    def find(self, ids: Sequence[int]) -> Iterator[Occurrence]:
        """Yield every occurrence of every phrase, those within others too, by their first token."""
        for first, token in enumerate(ids):
            if token not in self._starts:
                continue
            for length in self._lengths:
                last = first + length
                number = self._numbers.get(tuple(ids[first:last])) if last <= len(ids) else None
                if number is not None and (last == len(ids) or ids[last] not in self._continues):
                    yield Occurrence(first, last, number)

    def spans(self, text: str) -> list[TermSpan]:
        """Return every occurrence in a text with its place."""
        tokenizer = copy_of(self._tokenizer)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        encoding = tokenizer.encode(clean(text), add_special_tokens=False)
        offsets, terms = encoding.offsets, self.phrases.terms
        found = []
        for at in self.find(encoding.ids):
            start, end = offsets[at.first][0], offsets[at.last - 1][1]
            piece = text[start:end]
            found.append(TermSpan(start + len(piece) - len(piece.lstrip()), end, terms[at.phrase]))
        return found


class TokensAndPhrases:
    """A model's tokens, and its phrases."""

    def __init__(self, tokens: Any, matcher: PhraseMatcher) -> None:
        self._tokens = tokens
        self._matcher = matcher
        self.phrases = frozenset(matcher.phrases.terms)

    def find(self, text: str) -> list[TermSpan]:
        """Return every token and every phrase of `text` with its place, in order."""
        return sorted([*self._tokens.find(text), *self._matcher.spans(text)])

    def find_some(self, text: str, wanted: Collection[str]) -> list[TermSpan]:
        """Return those spans of `find` whose term is wanted."""
        phrases = [] if self.phrases.isdisjoint(wanted) else self._matcher.spans(text)
        return sorted([*self._tokens.find_some(text, wanted), *(span for span in phrases if span.term in wanted)])


def make_phrases(names: Sequence[str], tokenizer: Tokenizer, *, most: int | None = None) -> Phrases:
    """Tokenise phrases as they occur within a text.

    Those of one token, of unknown tokens, or of the tokens of an earlier one are left out. most: the number after which
    the others are, too. Raises UsageError where none is left.
    """
    unknown = getattr(tokenizer.model, "unk_token", None)
    unknown_id = None if unknown is None else tokenizer.token_to_id(unknown)
    plain = copy_of(tokenizer)
    plain.no_truncation()
    plain.no_padding()
    found: dict[tuple[int, ...], str] = {}
    for name in names:
        written = " ".join(name.split())
        # As behind another word, which tokens of bytes and of sentences tell from the start of a text.
        ids = tuple(plain.encode(f" {clean(written)}", add_special_tokens=False).ids)
        if 2 <= len(ids) <= LONGEST and unknown_id not in ids and ids not in found:
            found[ids] = written.casefold()
        if most is not None and len(found) >= most:
            break
    if not found:
        raise UsageError(f"of {len(names):,} phrases none has 2 to {LONGEST} tokens that the tokenizer knows")
    first = {name: ids for ids, name in reversed(found.items())}  # of two ways of writing the same letters
    kept = {ids: name for ids, name in found.items() if first[name] == ids}
    return Phrases(tuple(kept.values()), tuple(kept))


def continuations(tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids of the tokens that continue a word.

    They begin with `##`, or lack the mark by which a tokenizer's other tokens begin words.
    """
    tokens = tokenizer.get_vocab(with_added_tokens=False)
    if getattr(tokenizer.model, "continuing_subword_prefix", None) == "##":
        return frozenset(i for token, i in tokens.items() if token.startswith("##"))
    for mark in ("▁", "Ġ"):
        starts = [token for token in tokens if token.startswith(mark)]
        if len(starts) > len(tokens) // 10:
            return frozenset(i for token, i in tokens.items() if not token.startswith(mark) and token.isalnum())
    return frozenset()


def write_phrases(phrases: Phrases, path: Path) -> None:
    """Write phrases to a file."""
    path.write_text(json.dumps(phrases.to_json(), ensure_ascii=False) + "\n", encoding="utf-8")


def read_phrases(path: Path) -> Phrases:
    """Read what `write_phrases` wrote. Raises EncoderError if it is broken."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise EncoderError(f"{path} has format {content['format']!r:.40}, but this program reads {FORMAT}")
        rows = [(name, tuple(ids)) for name, ids in content["phrases"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EncoderError(f"{path}: no phrases as this program writes them ({error})") from error
    sound = all(isinstance(name, str) and ids and all(type(i) is int and i >= 0 for i in ids) for name, ids in rows)
    names, tokens = {name for name, _ in rows}, {ids for _, ids in rows}
    if not sound or not 0 < len(rows) <= MOST_PHRASES or not len(names) == len(tokens) == len(rows):
        raise EncoderError(f"{path}: its phrases are not names with lists of token ids, each once")
    return Phrases(tuple(name for name, _ in rows), tuple(ids for _, ids in rows))
