"""Terms beside the words of a text: identifiers with their signs, pairs of ideographs, emoji.

A text's words have no signs, so that `C++` and `C#` are both "c", and `foo_bar()` is "foo" and "bar". An identifier is
a term more: it is found exactly by who types it, and its words are still found by who doesn't.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

Placed = tuple[int, int, str]
"""A term with its place: text[start:end] is what it was made from."""

# A prefix such as "." of .net or "--" of --dry-run, names joined by signs, and "++", "#" or "(" behind them.
_SIGNED = re.compile(
    r"(?:(?<![\w.])\.{0,2}[/\\]|~[/\\]|(?<![\w-])--|(?<![\w.])\.|[$@#])?\w+(?:(?:->|[-./\\:@+#~])++\w+)*(?:\+\+?|#|\((?!e?s\)))?"
)
# Compounds, "and/or", "i.e", fractions and ranges are words of a text, which say little more together.
_COMPOUND = re.compile(r"[^\W\d_]+(?:(?:-[^\W\d_]+)*|/[^\W\d_]+|(?<![^\W\d_]{2})(?:\.[^\W\d_])+)|\d+(?:[-.:/]\d+)?")
_CHUNK = re.compile(r"\S+")
_PATH, _MEMBER = re.compile(r"[/\\]"), re.compile(r"[/\\.:]|->")
_SIGNS = re.compile(r"[_./\\:+#$@~()\-]")

IDEOGRAPH = "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Class of the characters of scripts without spaces, of which each is a word."""
_IDEOGRAPHS = re.compile(f"[{IDEOGRAPH}]{{2,}}")

_PICTURE = "[\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff]"
_TONE = "[\ufe0f\U0001f3fb-\U0001f3ff]"
_EMOJI = re.compile(f"[\U0001f1e6-\U0001f1ff]{{2}}|{_PICTURE}{_TONE}*(?:\u200d{_PICTURE}{_TONE}*)*")
_TONES = re.compile(_TONE)

MAX_KNOWN = 200_000
"""Chunks of text whose identifiers are cached; a fuller cache is cleared, so that memory stays bounded."""

LONGEST_KNOWN = 1000
"""Characters of a chunk up to which it is cached: as many long ones would take all memory."""


def is_signed(term: str) -> bool:
    """Return whether a term is an identifier with its signs, which no stemmer may change."""
    return _SIGNS.search(term) is not None


def is_beside_words(term: str) -> bool:
    """Return whether a term is one more beside the words of a text, which makes the text no longer."""
    return is_signed(term) or (len(term) == 2 and not term.isascii() and _IDEOGRAPHS.fullmatch(term) is not None)


class Identifiers(dict[str, tuple[str, ...]]):
    """Chunk of a lower-cased text without white space → its identifiers; fills itself."""

    def __missing__(self, chunk: str) -> tuple[str, ...]:
        if len(self) >= MAX_KNOWN:
            self.clear()
        found = tuple(dict.fromkeys(name for *_, name in _identifiers(chunk)))
        if len(chunk) <= LONGEST_KNOWN:
            self[chunk] = found
        return found

    def of(self, text: str) -> Iterator[str]:
        """Yield the identifiers of a lower-cased text."""
        for chunk in text.split():
            if not chunk.isalnum():
                yield from self[chunk]


def identifiers_at(text: str) -> Iterator[Placed]:
    """Yield the identifiers of a lower-cased text with their places."""
    for chunk in _CHUNK.finditer(text):
        begin = chunk.start()
        yield from ((begin + start, begin + end, name) for start, end, name in _identifiers(chunk.group()))


def _identifiers(chunk: str) -> Iterator[Placed]:
    for match in _SIGNED.finditer(chunk):
        name, start, end = match.group(), match.start(), match.end()
        if name.endswith("("):
            name, end = name[:-1], end - 1
            after = end + 2 if chunk.startswith("()", end) else end
            *_, (at, member) = _parts(_MEMBER, name)
            if not member[:1].isdigit():
                yield start, after, name + "()"
                yield start + at, after, member + "()"
        if _COMPOUND.fullmatch(name) or name.isalnum():
            continue
        yield start, end, name
        # The file of a path, and the function of a module, are known by their own names.
        for pattern, sign in ((_PATH, "."), (_MEMBER, "_")):
            for at, part in islice(_parts(pattern, name), 1, None):
                if sign in part.strip("."):
                    yield start + at, start + at + len(part), part


def _parts(sign: re.Pattern[str], name: str) -> Iterator[tuple[int, str]]:
    """Yield what signs separate in a name, with its place in it."""
    begin = 0
    for match in sign.finditer(name):
        yield begin, name[begin : match.start()]
        begin = match.end()
    yield begin, name[begin:]


def pairs_at(text: str) -> Iterator[Placed]:
    """Yield each two neighbouring ideographs of a text with their place, since one says little."""
    for match in _IDEOGRAPHS.finditer(text):
        run, begin = match.group(), match.start()
        yield from [(begin + at, begin + at + 2, run[at : at + 2]) for at in range(len(run) - 1)]


def pairs(text: str) -> Iterator[str]:
    """Yield each two neighbouring ideographs of a text."""
    for match in _IDEOGRAPHS.finditer(text):
        run = match.group()
        yield from (run[at : at + 2] for at in range(len(run) - 1))


def emoji_at(text: str) -> Iterator[Placed]:
    """Yield the emoji of a text, without tones of skin, with their places."""
    for match in _EMOJI.finditer(text):
        yield match.start(), match.end(), _TONES.sub("", match.group())
