"""Output of an explained search: tables with bars on a terminal, and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from lsr.io.printable import clean, json_line
from lsr.output.hits import INDENT, hit_lines, hit_object
from lsr.output.numbers import counted
from lsr.output.results import results_object
from lsr.output.terminal import BOLD, DIM, columns, lines_of, say_styled, shortened, style, text_width
from lsr.query.explain.explain import ExplainedHit, ExplainedSearch, spans_of
from lsr.query.explain.term_spans import TermFinder
from lsr.query.explain.text_vector import TextVector
from lsr.types import TermContribution

SHOWN_TERMS = 12
"""Of a hit in its table; the others are summed up in a line."""
WIDEST_TERM, WIDEST_BAR = 24, 30
_EIGHTHS = " ▏▎▍▌▋▊▉"


class _TermsOf:
    """Finds in texts the terms that brought something to a hit."""

    def __init__(self, finder: TermFinder, found: ExplainedHit) -> None:
        self._finder = finder
        self._points = {term.term: term.points for term in found.terms}

    def matches(self, text: str) -> list[tuple[int, int, str]]:
        """Return (start, end, term) of each."""
        return [(*span,) for span in spans_of(self._finder.find_some(text, self._points), self._points)]


def explained_lines(explained: ExplainedSearch) -> Iterator[str]:
    """Yield the JSON lines: an object a hit, one of the engine's work, and one of any counts."""
    for found in explained.hits:
        yield json_line(explained_hit(found))
    yield json_line(engine_object(explained))
    if explained.total is not None or explained.facets or explained.missing:
        yield json_line(
            results_object(
                query=explained.query, total=explained.total, facets=explained.facets, missing=explained.missing
            )
        )


def explained_hit(found: ExplainedHit) -> dict[str, Any]:
    """Return a hit with its terms and their places as JSON values."""
    spans = {"title_spans": found.title_spans, "text_spans": found.text_spans}
    return hit_object(found.hit) | {name: [(*span,) for span in some] for name, some in spans.items()}


def engine_object(explained: ExplainedSearch) -> dict[str, Any]:
    """Return what `--json --explain` says after the hits."""
    return {
        "engine": asdict(explained.engine),
        "query": explained.query,
        "query_terms": [asdict(term) for term in explained.terms],
        "unknown_terms": list(explained.unknown),
        "encoder": explained.encoder,
        "unit": explained.unit,
        "scale": explained.scale,
    }


def print_explained(explained: ExplainedSearch, finder: TermFinder) -> None:
    """Print each hit with its table of terms, then the query's terms and what the engine did."""
    width = columns()
    for found in explained.hits:
        say_styled(*hit_lines(found.hit, _TermsOf(finder, found), width))
        say_styled("")
        for line in term_table(found, width - INDENT):
            say_styled(" " * INDENT + line)
        say_styled("")
    for name, value in _facts(explained).items():
        for i, (begin, end) in enumerate(lines_of(value, width - INDENT - 9)):
            label = name if i == 0 else ""
            say_styled(" " * INDENT + style(f"{label:<9}", DIM) + value[begin:end])


def term_table(found: ExplainedHit, room: int) -> Iterator[str]:
    """Yield the lines of a hit's table: query weight, impact, contribution, a bar, and where the term stands."""
    shown = found.terms[:SHOWN_TERMS]
    if not shown:
        return
    wide = max(4, *(min(WIDEST_TERM, text_width(term.term)) for term in shown))
    words = found.words()
    bar_room = max(0, min(WIDEST_BAR, room - wide - 45 - WIDEST_TERM * bool(words)))
    yield style(f"{'term':<{wide}}  {'query':>7}  {'impact':>6}  {'adds':>7}  {'':<{bar_room}}  stands in", DIM)
    for term in shown:
        name = shortened(clean(term.term), WIDEST_TERM)
        word = f": {shortened(clean(words[term.term]), WIDEST_TERM)}" if term.term in words else ""
        bar = bar_of(term.points / shown[0].points, bar_room)
        yield (
            f"{style(name, BOLD) if term.in_text else name}{' ' * (wide - text_width(name))}  "
            f"{term.query_weight:>7.4g}  {term.impact:>6}  {number(term.contribution):>7}  "
            f"{bar if term.in_text else style(bar, DIM)}{' ' * (bar_room - len(bar))}  {stands_in(term)}{word}"
        )
    rest = found.terms[SHOWN_TERMS:]
    if rest:
        added = sum(term.contribution for term in rest)
        yield style(f"{'…':<{wide}}  {'':>7}  {'':>6}  {number(added):>7}  {counted(len(rest), 'term')} more", DIM)


def stands_in(term: TermContribution) -> str:
    """Say where a term stands, in words; where it doesn't, the encoder expanded to it."""
    if term.in_query:
        return "query and text" if term.in_text else "query only"
    return "text only" if term.in_text else "neither"


def number(value: float) -> str:
    """Return a score in as many digits as are of use."""
    if value >= 10_000 or (value >= 10 and value.is_integer()):
        return f"{value:,.0f}"
    return f"{value:,.3f}" if value < 100 else f"{value:,.1f}"


def bar_of(part: float, room: int) -> str:
    """Return a bar of up to `room` cells, in steps of an eighth; never nothing for a part above 0."""
    eighths = max(1, round(part * room * 8)) if part > 0 and room else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def engine_facts(explained: ExplainedSearch) -> Mapping[str, str]:
    """Return what the engine did, in words, by name."""
    facts = explained.engine
    ran = ", ".join(dict.fromkeys(facts.traversals)) or "nothing to search for"
    work = f"{ran}: {counted(facts.n_terms, 'term')}, {counted(facts.n_postings, 'posting')}"
    if facts.n_scored:
        work += f"; {facts.n_scored:,} of {counted(facts.n_superblocks, 'superblock')} scored"
    fed = f"feedback {facts.feedback_us:,.0f} µs, " if facts.feedback_us else ""
    reranked = f"rerank {facts.rerank_us:,.0f} µs, " if facts.rerank_us else ""
    return {
        "searched": f"{counted(facts.n_docs, 'document')} in {counted(facts.n_segments, 'segment')}",
        "engine": work,
        "time": f"encode {facts.encode_us:,.0f} µs, {fed}search {facts.search_us:,.0f} µs, "
        f"{reranked}documents {facts.documents_us:,.0f} µs (loading included)",
    }


def _facts(explained: ExplainedSearch) -> dict[str, str]:
    terms = ", ".join(f"{clean(term.term)} {term.weight:.3g}{'' if term.in_query else '*'}" for term in explained.terms)
    if any(not term.in_query for term in explained.terms):
        terms += " (* expanded to)"
    shown = {"query": terms or "no term that the index has"}
    if explained.unknown:
        shown["unknown"] = clean(", ".join(explained.unknown))
    shown |= engine_facts(explained)
    if explained.hits:
        sum_of_terms = f"the sum of query weight × impact × {explained.scale:.6g}"
        n_legs = max(len(found.hit.legs or ()) for found in explained.hits)
        if n_legs:
            fused = "two legs fused" + ("" if n_legs == 2 else ", drawn towards those of near candidates")
            shown["score"] = f"{fused}; that of the sparse leg is {sum_of_terms}"
        else:
            shown["score"] = sum_of_terms
    return shown


def headline(vector: TextVector) -> str:
    """Say in a line what a vector holds."""
    expanded = len(vector.terms) - vector.n_in_text
    return (
        f"{counted(len(vector.terms), 'term')} of a {vector.role} by {clean(vector.encoder)}: "
        f"{vector.n_in_text:,} in the text, {expanded:,} expanded to"
    )
