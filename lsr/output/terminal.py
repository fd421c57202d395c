"""Text on a terminal: what may stand there, how wide it is, where lines break, and how it is marked."""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TextIO

from lsr.io.printable import clean

BOLD, DIM, MATCH, STALE, RESET = "\033[1m", "\033[2m", "\033[1;31m", "\033[33m", "\033[0m"
WIDEST, NARROWEST, PLAIN_WIDTH = 120, 24, 100

_STYLES = re.compile("(" + "|".join(re.escape(style) for style in (BOLD, DIM, MATCH, STALE, RESET)) + ")")

Span = tuple[int, int]


def say(*lines: str, stream: TextIO | None = None, flush: bool = False) -> None:
    """Print lines to a stream (stdout by default), each cleaned; all that commands print goes through here.

    A line break, a tab or an escape sequence within a line can only come from outside, and becomes U+FFFD.
    """
    out = stream or sys.stdout
    out.write("".join(f"{clean(line)}\n" for line in lines))
    if flush:
        out.flush()


def say_row(*cells: str) -> None:
    """Print cells of a table in one line, each cleaned, with tabs between them."""
    sys.stdout.write("\t".join(map(clean, cells)) + "\n")


def say_styled(*lines: str, stream: TextIO | None = None) -> None:
    """Print lines of which the parts were cleaned before they were given styles; styles of `style` stay."""
    out = stream or sys.stdout
    keep = styled(out)
    # Every second part is a style.
    out.write("".join(
        "".join(part if keep and n % 2 else clean(part) for n, part in enumerate(_STYLES.split(line))) + "\n"
        for line in lines
    ))  # fmt: skip


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


def fitting(text: str, room: int, begin: int = 0) -> int:
    """Return how many characters of text[begin:] fit into `room` cells. Reads no more of the text than these."""
    used, end = 0, begin
    while end < len(text):
        used += cell_width(text[end])
        if used > room:
            break
        end += 1
    return end - begin


def shortened(text: str, room: int) -> str:
    """Return a text that takes at most `room` cells, with an ellipsis if it was cut."""
    return text if text_width(text) <= room else text[: fitting(text, room - 1)].rstrip() + "…"


def lines_of(text: str, room: int) -> Iterator[Span]:
    """Yield where the lines of a text begin and end that take at most `room` cells each.

    Lines break at spaces, between wide characters, and inside a word only where it is wider than a line.
    """
    begin = 0
    while begin < len(text):
        end = begin + max(1, fitting(text, room, begin))
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
