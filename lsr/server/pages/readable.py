"""Texts as they are read: without the markup of Markdown and reStructuredText, every line at its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lsr.indexer.corpus.formats.light.rst import rst_parts
from lsr.indexer.corpus.formats.markdown import markdown_parts

LOOKED_AT = 20_000
"""Characters by which markup is recognised."""
_MARKDOWN = (
    re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE),
    re.compile(r"(?:\A|\n\n)#{1,6} \w"),
    re.compile(r"\[[^\[\]\n]{1,200}\]\([^()\s]{1,500}\)"),
    re.compile(r"(?<![\w*])\*\*\w[^*\n]{0,200}\w\*\*(?![\w*])"),
    re.compile(r"(?<!`)`[^`\n]{1,200}`(?![`_])"),
)
_RST = (
    re.compile(r"^[ \t]*\.\. [\w:-]{1,60}::", re.MULTILINE),
    re.compile(r"^\S[^\n]{2,200}\n([=\-~^*#])\1{2,}$", re.MULTILINE),
    re.compile(r":[\w:.+-]{1,60}:`[^`\n]{1,200}`"),
    re.compile(r"``[^`\n]{1,200}``"),
    re.compile(r"`[^`\n<>]{1,200}<[^<>\s]{1,500}>`_"),
)
ENOUGH = 2
"""Different kinds of markup by which a text is taken to be marked up; one alone may be an accident."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A text without markup. shift: lines that it has more at its beginning than the text that it was made from."""

    text: str
    shift: int = 0


def readable(text: str, title: str = "") -> Readable:
    """Return a text without its markup, or as it is where it has none. title: shown above it, so not repeated."""
    head = text[:LOOKED_AT]
    kinds = {make: sum(1 for sign in signs if sign.search(head)) for make, signs in _SIGNS.items()}
    make = max(kinds, key=kinds.__getitem__)
    if kinds[make] < ENOUGH:
        return Readable(text)
    parts = make(text)
    heading = [parts.title, ""] if parts.title and parts.title.strip() != title.strip() else []
    return Readable("\n".join([*heading, parts.text]), len(heading) - (parts.first_line - 1))


_SIGNS = {rst_parts: _RST, markdown_parts: _MARKDOWN}
