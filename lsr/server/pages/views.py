"""Values that the templates show of a hit and of a search, worked out from its explanation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lsr.output.explained import engine_facts, number
from lsr.output.hits import legs_line
from lsr.output.numbers import counted
from lsr.output.results import value_text
from lsr.query.explain.explain import SEARCHED_CHARACTERS, ExplainedHit, ExplainedSearch, QueryTerm, spans_of
from lsr.query.explain.term_spans import TermSpan
from lsr.query.sparse_search import SparseSearch
from lsr.server.pages.marks import marked, stretch, whole_words
from lsr.server.pages.readable import readable
from lsr.server.pages.words import QueryText, WordPart, plain_query, query_text, word_parts
from lsr.types import FieldValue, Hit, TermContribution

if TYPE_CHECKING:
    from markupsafe import Markup

SNIPPET, HEADING = 320, 90
"""Characters of a snippet, and of a heading made from the text of a document without a title."""
SHOWN_WORDS, SHOWN_TERMS = 12, 40
MOST_CHIPS, CHIP_CHARACTERS = 8, 60
_WEB = re.compile(r"https?://[^\s<>\"'`\\]+", re.IGNORECASE)
OUTWARD = "noopener noreferrer nofollow"


@dataclass(frozen=True, slots=True)
class Chip:
    """A field with a value. href: what a click does; none where it does nothing."""

    name: str
    value: str
    href: str = ""
    hint: str = ""
    rel: str = "nofollow"


ChipLink = Callable[[str, str], str]
"""From a field and a value to the address of the results with that value, or an empty text."""


def no_link(*_: object) -> str:
    """Return no address: for pages that link to nothing."""
    return ""


@dataclass(frozen=True, slots=True)
class HitView:
    """A hit as the pages show it. rest: what words beyond those shown add together; sum: what all terms add."""

    rank: int
    score: float
    href: str
    doc_id_shown: str
    title: Markup
    snippet: Markup
    is_cut_before: bool
    is_cut_after: bool
    chips: Sequence[Chip]
    legs: str
    because: str
    parts: Sequence[WordPart]
    terms: Sequence[TermContribution]
    sum: float
    rest: float
    scale: float
    stale: str = ""
    whole: Markup | str = ""
    shown_words: int = SHOWN_WORDS
    shown_terms: int = SHOWN_TERMS


@dataclass(frozen=True, slots=True)
class EngineView:
    """The terms of a query and the engine's work for it."""

    terms: Sequence[QueryTerm]
    unknown: Sequence[str]
    lines: Sequence[tuple[str, str]]
    shown_terms: int = SHOWN_TERMS


def engine_view(explained: ExplainedSearch) -> EngineView:
    """Return what the pages say of the engine's work."""
    lines = {"encoder": explained.encoder, **engine_facts(explained)}
    return EngineView(explained.terms, explained.unknown, tuple(lines.items()))


@dataclass(frozen=True)
class HitMaker:
    """Makes the views of a search's hits. link: from a doc_id and passage to an address. chip_link: of a field."""

    explained: ExplainedSearch
    searcher: SparseSearch
    link: Callable[[str, tuple[int, int] | None], str] = no_link
    chip_link: ChipLink = no_link
    whole_characters: int = 0
    query: QueryText = field(init=False)

    def __post_init__(self) -> None:
        """Find the words of the query."""
        object.__setattr__(self, "query", query_text(self.searcher, plain_query(self.explained.query)))

    def view(self, found: ExplainedHit) -> HitView:
        """Return the view of a hit."""
        hit = found.hit
        points = {term.term: term.points for term in found.terms}
        text, spans = self._readable(found, points)
        shown_points = self.query.marked_terms(points)
        title, title_spans, cut = hit.title, list(found.title_spans), 0
        if not title.strip():
            cut = heading_end(text)
            title, title_spans = text[:cut], [span for span in spans if span.end <= cut]
        if not title.strip():
            title, title_spans = hit.doc_id, []
        body = text[cut:]
        spans = [span._replace(start=span.start - cut, end=span.end - cut) for span in spans if span.start >= cut]
        begin, end = stretch(body, spans, shown_points, SNIPPET)
        marks = whole_words(body, spans, shown_points, pieces=self.query.pieces)
        is_short = begin == 0 and end == len(body)
        shown = not is_short and self.whole_characters
        parts = word_parts(found, self.query.words)
        return HitView(
            rank=hit.rank,
            score=hit.score,
            href=self.link(hit.doc_id, hit.passage),
            doc_id_shown="" if title == hit.doc_id else hit.doc_id,
            title=marked(title, whole_words(title, title_spans, shown_points, pieces=self.query.pieces)),
            snippet=marked(body, marks, begin=begin, end=end) if body.strip() else marked("", ()),
            is_cut_before=bool(body[:begin].strip()),
            is_cut_after=bool(body[end:].strip()) or len(hit.text) > SEARCHED_CHARACTERS,
            chips=chips_of(hit.fields, self.chip_link),
            legs="" if hit.legs is None else legs_line(hit.legs),
            because=_because(found, parts),
            parts=parts,
            terms=found.terms,
            sum=sum(term.contribution for term in found.terms),
            rest=sum(part.adds for part in parts[SHOWN_WORDS:]),
            scale=self.explained.scale,
            stale=stale_note(hit),
            whole=marked(body, marks, end=min(len(body), self.whole_characters)) if shown else "",
        )

    def _readable(self, found: ExplainedHit, points: Mapping[str, int]) -> tuple[str, list[TermSpan]]:
        """Return the text without markup, and the places of the terms in it."""
        raw = found.hit.text[:SEARCHED_CHARACTERS]
        text = readable(raw, found.hit.title).text
        if text is raw:
            return text, list(found.text_spans)
        return text, list(spans_of(self.searcher.term_finder.find_some(text, points), points))


def heading_end(text: str) -> int:
    """Return the end of the heading of a text without title: its first line or words."""
    start = len(text) - len(text.lstrip())
    line = text.find("\n", start, start + HEADING + 1)
    if line >= 0:
        return line
    if len(text) - start <= HEADING:
        return len(text)
    cut = text.rfind(" ", start, start + HEADING)
    return cut if cut > start else start + HEADING


def chips_of(fields: Mapping[str, FieldValue], link: ChipLink = no_link, *, most: int = MOST_CHIPS) -> list[Chip]:
    """Return the fields of a document as chips, one for each value of a list."""
    chips = []
    for name, value in fields.items():
        values: Sequence[Any] = value if isinstance(value, list) else [value]
        for one in values[: most + 1]:
            if one is None or one == "":
                continue
            text = value_text(one)
            shown = text if len(text) <= CHIP_CHARACTERS else text[: CHIP_CHARACTERS - 1] + "…"
            if isinstance(one, str) and _WEB.fullmatch(one):
                chips.append(Chip(name, shown, one, "Open this address", OUTWARD))
            else:
                href = link(name, text)
                chips.append(Chip(name, shown, href, "Narrow the results to this" if href else ""))
            if len(chips) > most:
                return [*chips[:most], Chip("", "…")]
    return chips


def stale_note(hit: Hit) -> str:
    """Return what is to be said of a hit whose file changed since it was indexed; nothing of any other."""
    said = f"The file behind this has {hit.stale} since it was indexed: 'lsr sync' follows it."
    return "" if hit.stale is None else said


def _because(found: ExplainedHit, parts: Sequence[WordPart]) -> str:
    """Say in a sentence what a hit's score is made of."""
    n_here = sum(part.in_text for part in parts)
    whole = sum(term.contribution for term in found.terms)
    expanded = sum(term.contribution for term in found.terms if not term.in_text)
    said = f"Score {number(found.hit.score)}: {counted(n_here, 'word')} of the search "
    said += "is in this document" if n_here == 1 else "are in this document"
    if not expanded or not whole:
        return said + "."
    return f"{said}; {100 * expanded / whole:.0f} % of its score comes from related words that aren't written in it."
