"""The stretch of a text that says most about a query, and where its words stand in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_WORD = re.compile(r"\w+")
SEARCHED_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of text, white space folded, and the spans in it of words that match."""

    text: str
    spans: tuple[tuple[int, int], ...]

    def marked(self, before: str, after: str) -> str:
        """Return the text with marks around each span."""
        out, last = [], 0
        for start, end in self.spans:
            out += [self.text[last:start], before, self.text[start:end], after]
            last = end
        return "".join([*out, self.text[last:]])


def find_snippet(text: str, stem: Callable[[str], str], wanted: frozenset[str], width: int = 200) -> Snippet:
    """Return up to `width` characters of `text` with the most different wanted words, the earliest such.

    stem: from a word to what it is matched by; wanted: of the query. Only the first SEARCHED_CHARACTERS
    are looked at.
    """
    folded = " ".join(text[:SEARCHED_CHARACTERS].split())
    matches = [(m.start(), m.end(), form) for m in _WORD.finditer(folded) if (form := stem(m.group())) in wanted]
    best, best_count = 0, 0
    for i, (start, _, _) in enumerate(matches):
        forms = {form for s, e, form in matches[i : i + 40] if e <= start + width}
        if len(forms) > best_count:
            best, best_count = start, len(forms)
    begin = 0
    if best > width // 3:
        begin = folded.rfind(" ", 0, best - width // 4) + 1
    end = len(folded)
    if end - begin > width:
        cut = folded.rfind(" ", begin, begin + width)
        end = cut if cut > begin else begin + width
    head, tail = "… " if begin else "", " …" if end < len(folded) or len(text) > SEARCHED_CHARACTERS else ""
    shift = len(head) - begin
    spans = tuple((s + shift, e + shift) for s, e, _ in matches if begin <= s and e <= end)
    return Snippet(head + folded[begin:end] + tail, spans)
