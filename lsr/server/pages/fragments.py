"""The pieces that pages are put together from. Whatever comes from outside goes through `plain`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape

from lsr.query.explain.term_spans import TermSpan
from lsr.server.pages.style import STYLE

# What HTML can't hold, what turns the direction of text around it, and what UTF-8 can't write.
_IMPOSSIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
# No page loads or runs anything, whatever should stand in it. Forms may be sent to where the page came from.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"


def plain(text: object) -> str:
    """Return a text as it may stand anywhere in HTML, attributes included."""
    return escape(_IMPOSSIBLE.sub("\ufffd", str(text)))


def page(title: str, body: Iterable[str]) -> str:
    """Return a whole page. title: plain text. body: HTML."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{plain(POLICY)}">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{plain(title)}</title>",
            f"<style>{STYLE}</style></head>",
            "<body><main>",
            *body,
            "</main></body></html>",
            "",
        ]
    )


def percent(part: float) -> str:
    """Return a part of 1 as CSS has it."""
    return f"{100 * max(0.0, min(1.0, part)):.2f}%"


def shade(part: float) -> str:
    """Return how strong the colour of a part of 1 is, from faint to full."""
    return f"{0.28 + 0.72 * max(0.0, min(1.0, part)):.2f}"


def marked(text: str, spans: Iterable[TermSpan], parts: Mapping[str, float], *, begin: int = 0, end: int = -1) -> str:
    """Return text[begin:end] as HTML with the spans marked, stronger where the term's part is larger.

    spans: ascending, without overlaps. parts: of the largest, by term. end: default, that of the text.
    """
    end = len(text) if end < 0 else end
    inside = [span for span in spans if span.start >= begin and span.end <= end]
    pieces, last = [], begin
    for number, span in enumerate(inside):
        joined = [
            name
            for name, joins in (
                ("after", number > 0 and inside[number - 1].end == span.start),
                ("before", number + 1 < len(inside) and inside[number + 1].start == span.end),
            )
            if joins
        ]
        kind = f' class="{" ".join(joined)}"' if joined else ""
        word = f'<mark{kind} style="--shade:{shade(parts[span.term])}" title="{plain(span.term)}">'
        pieces += [plain(text[last : span.start]), word, plain(text[span.start : span.end]), "</mark>"]
        last = span.end
    return "".join([*pieces, plain(text[last:end])])


def stretch(text: str, spans: Iterable[TermSpan], parts: Mapping[str, float], width: int) -> tuple[int, int]:
    """Return the stretch of up to `width` characters of a text whose different terms weigh most, the earliest such.

    It begins and ends between words, with a sentence where one begins shortly before.
    """
    if len(text) <= width:
        return 0, len(text)
    marks = list(spans)
    best, begin = 0.0, 0
    for number, first in enumerate(marks):
        within = {span.term for span in marks[number:] if span.end <= first.start + width * 3 // 4}
        weight = sum(parts[term] for term in within)
        if weight > best + 1e-12:
            best, begin = weight, first.start
    if begin > width // 4:
        ends = [match.end() for match in re.finditer(r"[.!?…。]\s*(?=\S)", text[begin - width // 4 : begin])]
        begin = begin - width // 4 + ends[-1] if ends else _word_start(text, begin - width // 8)
    else:
        begin = 0
    end = min(len(text), begin + width)
    if end < len(text):
        cut = max(text.rfind(" ", begin + width // 2, end), text.rfind("\n", begin + width // 2, end))
        end = cut if cut > 0 else end
    return begin, end


def _word_start(text: str, at: int) -> int:
    """Return where the first word begins at or after a place."""
    found = re.compile(r"\s\S").search(text, max(0, at - 1))
    return found.start() + 1 if found and found.start() < at + 60 else at
