"""Text on a terminal: what may stand there, how wide it is, where lines break, and how it is marked."""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TextIO

BOLD, DIM, MATCH, STALE, RESET = "\033[1m", "\033[2m", "\033[1;31m", "\033[33m", "\033[0m"
WIDEST, NARROWEST, PLAIN_WIDTH = 120, 24, 100

# What would move the cursor, start an escape sequence, turn the direction of text, or can't be encoded.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

Span = tuple[int, int]


def clean(text: str) -> str:
    """Return a text in which nothing gives orders to a terminal; its length stays the same."""
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub("\ufffd", text)


def styled(stream: TextIO) -> bool:
    """Say whether a stream is a terminal that takes styles, and nobody asked for none (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, how: str, stream: TextIO | None = None) -> str:
    """Return a text in a style, or as it is where the stream (stdout by default) takes none."""
    return f"{how}{text}{RESET}" if text and styled(stream or sys.stdout) else text


def columns() -> int:
    """Return how wide the output is."""
    if not sys.stdout.isatty():
        return PLAIN_WIDTH
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns))


def cell_width(character: str) -> int:
    """Return how many cells of a terminal a character takes."""
    if character < "\u0300":
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def text_width(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(cell_width, text))


def fitting(text: str, room: int) -> int:
    """Return how many characters of a text fit into `room` cells."""
    if text.isascii():
        return min(len(text), room)
    used = 0
    for i, character in enumerate(text):
        used += cell_width(character)
        if used > room:
            return i
    return len(text)


def shortened(text: str, room: int) -> str:
    """Return a text that takes at most `room` cells, with an ellipsis if it was cut."""
    return text if text_width(text) <= room else text[: fitting(text, room - 1)].rstrip() + "…"


def lines_of(text: str, room: int) -> Iterator[Span]:
    """Yield where the lines of a text begin and end that take at most `room` cells each.

    Lines break at spaces, between wide characters, and inside a word only where it is wider than a line.
    """
    begin = 0
    while begin < len(text):
        end = begin + max(1, fitting(text[begin:], room))
        if end < len(text):
            end = _break(text, begin, end)
        yield begin, begin + len(text[begin:end].rstrip())
        begin = end
        while begin < len(text) and text[begin] == " ":
            begin += 1


def _break(text: str, begin: int, end: int) -> int:
    """Return the last place in begin + 1 … end where a line may break; `end` where there is none."""
    for at in range(end, begin, -1):
        if text[at] == " " or cell_width(text[at]) == 2 or cell_width(text[at - 1]) == 2:
            return at
    return end


def marked(text: str, spans: Sequence[Span], begin: int, end: int, *, mark: str, base: str = "") -> str:
    """Return text[begin:end] for stdout, in style `base`, what lies in one of the ascending spans in style `mark`."""
    pieces, last = [], begin
    for start, stop in spans:
        start, stop = max(start, last), min(stop, end)
        if start < stop:
            pieces += [style(text[last:start], base) if base else text[last:start], style(text[start:stop], mark)]
            last = stop
    pieces.append(style(text[last:end], base) if base else text[last:end])
    return "".join(pieces)
