"""Operators of a typed query: `"a phrase"`, `+word` and `-word`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lsr.encoders.lexical.phrase import Phrase
from lsr.errors import UsageError

MOST_OPERATORS = 64
"""Phrases and words with a sign in one query."""

# A sign or quote counts at the beginning of a word alone: "state-of-the-art", "C++" and 5" hold none.
_PIECE = re.compile(
    r"""(?<!\S)(?P<sign>[+-])?
        (?: "(?P<straight>[^"]*)"(?!\w) | [“„](?P<curly>[^“”„]*)[”“](?!\w) | «(?P<angled>[^«»]*)»(?!\w)
          | (?P<word>\S+) )""",
    re.VERBOSE,
)
_SIGNED_WORD = re.compile(r"[\w.$@#~/\\]|[^\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions on a document's title and text: phrases that it has to hold, and others that it mustn't."""

    required: tuple[Phrase, ...] = ()
    excluded: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True)
class TypedQuery:
    """A query as it was meant. text: what is searched for. conditions: None for a query without operators."""

    text: str
    conditions: Conditions | None = None


def parse_query(text: str) -> TypedQuery:
    """Return a query without its operators, and the conditions that these are.

    Raises UsageError for a query that only excludes, or that has too many operators.
    """
    if not any(sign in text for sign in '"+-“„«'):
        return TypedQuery(text)
    kept: list[str] = []
    required: list[Phrase] = []
    excluded: list[Phrase] = []
    last = 0
    for match in _PIECE.finditer(text):
        sign, word = match["sign"], match["word"]
        quoted = next((found for found in match.group("straight", "curly", "angled") if found is not None), None)
        if quoted is None and (sign is None or _SIGNED_WORD.match(word) is None):
            continue
        said = word if quoted is None else quoted
        phrase = Phrase.of(said)
        if phrase.is_empty:
            continue
        (excluded if sign == "-" else required).append(phrase)
        kept += [text[last : match.start()], " " if sign == "-" else said]
        last = match.end()
    if not required and not excluded:
        return TypedQuery(text)
    if len(required) + len(excluded) > MOST_OPERATORS:
        raise UsageError(
            f"the query has {len(required) + len(excluded)} phrases, +words and -words; the limit is {MOST_OPERATORS}"
        )
    rest = " ".join("".join([*kept, text[last:]]).split())
    if not Phrase.of(rest).words and not required:
        raise UsageError(
            f"the query {text[:60]!r} only excludes: give a word to search for, or --plain to search for it as it is"
        )
    return TypedQuery(rest, Conditions(tuple(required), tuple(excluded)))
