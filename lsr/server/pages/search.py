"""A search and its explanation as a page: the query's terms, the engine's work, the hits with their terms."""

from __future__ import annotations

from collections.abc import Iterator

from lsr.output.explained import number, stands_in
from lsr.output.hits import legs_line, stale_line
from lsr.output.numbers import counted
from lsr.output.results import value_text
from lsr.query.explain.explain import ExplainedHit, ExplainedSearch
from lsr.server.pages.fragments import marked, page, percent, plain, shade, stretch
from lsr.types import TermContribution

PASSAGE, WHOLE = 460, 100_000
"""Characters of a text that are shown at first, and after it is opened."""
SHOWN_TERMS, SHOWN_VALUES = 40, 20
"""Terms of the query and of a hit, and values of a facet; the number of further ones is shown."""
FIELD_CHARACTERS = 300
"""Characters of a hit's fields, all together."""


def search_page(explained: ExplainedSearch) -> str:
    """Return a separate page about one search."""
    return page(explained.query, [f"<h1 dir=auto>{plain(explained.query)}</h1>", *search_body(explained), _footer()])


def search_body(explained: ExplainedSearch) -> Iterator[str]:
    """Yield the body of a page about a search, below the query."""
    yield from _query_terms(explained)
    yield from _facts(explained)
    yield from _counts(explained)
    if not explained.hits:
        yield '<p class="empty">Nothing found: no document holds a term of the query.</p>'
    best = max((found.hit.score for found in explained.hits), default=0.0)
    for found in explained.hits:
        yield from _hit(found, best)


def _query_terms(explained: ExplainedSearch) -> Iterator[str]:
    shown = explained.terms[:SHOWN_TERMS]
    largest = max((term.weight for term in shown), default=1.0)
    yield '<ul class="terms">'
    for term in shown:
        kind = "" if term.in_query else ' class="other"'
        yield (
            f'<li{kind} style="--part:{percent(term.weight / largest)}">{plain(term.term)}'
            f"<span>{term.weight:.3g}</span></li>"
        )
    for name in explained.unknown:
        yield f'<li class="unknown" title="the index has no such term">{plain(name)}</li>'
    if len(explained.terms) > SHOWN_TERMS:
        yield f"<li>… {len(explained.terms) - SHOWN_TERMS} more</li>"
    yield "</ul>"
    if any(not term.in_text for found in explained.hits for term in found.terms) or any(
        not term.in_query for term in explained.terms
    ):
        yield (
            '<p class="key"><span><i></i>stands there, word for word</span>'
            '<span><i class="other"></i>expanded to by the model</span></p>'
        )


def _facts(explained: ExplainedSearch) -> Iterator[str]:
    facts = explained.engine
    times = (
        ("encode", facts.encode_us, "query to vector"),
        ("search", facts.search_us, f"after {_time(facts.feedback_us)} feedback" if facts.feedback_us else "exact"),
        *((("rerank", facts.rerank_us, "second leg and fusion"),) if facts.rerank_us else ()),
        ("documents", facts.documents_us, "read"),
    )
    ran = ", ".join(dict.fromkeys(facts.traversals)) or "–"
    scored = f"{facts.n_scored:,} of {counted(facts.n_superblocks, 'superblock')}" if facts.n_scored else "all postings"
    cells = [
        ("searched", f"{facts.n_docs:,}", "documents"),
        ("postings", f"{facts.n_postings:,}", f"of {counted(facts.n_terms, 'term')}"),
        ("traversal", ran, scored),
        *((name, _time(us), detail) for name, us, detail in times),
    ]
    yield '<dl class="facts">'
    for name, value, detail in cells:
        small = f"<small>{plain(detail)}</small>" if detail else ""
        yield f"<div><dt>{plain(name)}</dt><dd>{plain(value)}{small}</dd></div>"
    yield "</dl>"


def _counts(explained: ExplainedSearch) -> Iterator[str]:
    if explained.total is not None:
        yield f'<p class="soft">{counted(explained.total, "document")} with a term of the query.</p>'
    for name, values in explained.facets.items():
        shown = " · ".join(
            f"{plain(value_text(found.value))} <b>{found.count:,}</b>" for found in values[:SHOWN_VALUES]
        )
        more = f" · … {len(values) - SHOWN_VALUES} more" if len(values) > SHOWN_VALUES else ""
        yield f'<p class="soft" dir=auto>{plain(name)}: {shown or "no matching document has it"}{more}</p>'


def _fields(found: ExplainedHit) -> str:
    """Return the fields of a hit, in one line."""
    shown = " · ".join(
        f"{name}: {', '.join(value) if isinstance(value, list) else value_text(value)}"
        for name, value in found.hit.fields.items()
        if value is not None
    )
    return plain(shown if len(shown) <= FIELD_CHARACTERS else shown[: FIELD_CHARACTERS - 1] + "…")


def _hit(found: ExplainedHit, best: float) -> Iterator[str]:
    hit, terms = found.hit, found.terms
    largest = terms[0].points if terms else 1
    parts = {term.term: term.points / largest for term in terms}
    title = marked(hit.title, found.title_spans, parts) if hit.title.strip() else plain(hit.doc_id)
    name = f' <span class="id">{plain(hit.doc_id)}</span>' if hit.title.strip() else ""
    yield '<article class="hit"><header>'
    yield f'<div><h2 dir=auto>{title}</h2><p><span class="soft number">{hit.rank}</span>{name}</p></div>'
    yield f'<p class="score number">{number(hit.score)}</p></header>'
    if hit.legs is not None:
        yield f'<p class="soft">{plain(legs_line(hit.legs))}</p>'
    if hit.stale is not None:
        yield f'<p class="soft stale">{plain(stale_line(hit.stale))}</p>'
    if hit.fields:
        yield f'<p class="soft" dir=auto>{_fields(found)}</p>'
    yield f'<div class="strip" role="img" aria-label="{plain(_told(terms))}">'
    for term in terms:
        yield (
            f'<b{_kind(term)} style="--part:{percent(term.contribution / best)};--shade:{shade(parts[term.term])}"'
            f' title="{plain(term.term)} {number(term.contribution)}"></b>'
        )
    yield "</div>"
    begin, end = stretch(hit.text, found.text_spans, parts, PASSAGE)
    if hit.text.strip():
        before, after = "… " if begin else "", " …" if end < len(hit.text) else ""
        shown = marked(hit.text, found.text_spans, parts, begin=begin, end=end)
        yield f'<p class="passage" dir=auto>{before}{shown}{after}</p>'
    if end - begin < len(hit.text):
        whole = marked(hit.text, found.text_spans, parts, end=min(WHOLE, len(hit.text)))
        more = "" if len(hit.text) <= WHOLE else " …"
        yield f"<details><summary>the whole text</summary><p class=whole dir=auto>{whole}{more}</p></details>"
    yield from _table(found, is_first=hit.rank == 1)
    yield "</article>"


def _table(found: ExplainedHit, *, is_first: bool) -> Iterator[str]:
    terms, score, words = found.terms, found.hit.score, found.words()
    expanded = sum(term.contribution for term in terms if not term.in_text)
    told = f", {100 * expanded / score:.0f} % of the score by expansion" if expanded else ""
    yield f"<details{' open' if is_first else ''}><summary>why: {counted(len(terms), 'term')}{told}</summary>"
    yield (
        "<table><tr><th>term<th class=weight>query<th class=weight>impact<th>adds<th class=bar>"
        "<th class=where>stands in</tr>"
    )
    for term in terms[:SHOWN_TERMS]:
        part = term.points / terms[0].points
        word = f" <span>{plain(words[term.term])}</span>" if term.term in words else ""
        yield (
            f'<tr><td title="{plain(term.term)}">{plain(term.term)}{word}<td class=weight>{term.query_weight:.3g}'
            f"<td class=weight>{term.impact}<td>{number(term.contribution)}"
            f'<td class=bar><b{_kind(term)} style="--part:{percent(part)};--shade:{shade(part)}"></b>'
            f"<td class=where>{stands_in(term)}</tr>"
        )
    if len(terms) > SHOWN_TERMS:
        rest = sum(term.contribution for term in terms[SHOWN_TERMS:])
        more = f"… {len(terms) - SHOWN_TERMS} more"
        yield f"<tr><td>{more}<td class=weight><td class=weight><td>{number(rest)}<td><td class=where></tr>"
    yield "</table></details>"


def _kind(term: TermContribution) -> str:
    return "" if term.in_text else ' class="other"'


def _told(terms: tuple[TermContribution, ...]) -> str:
    return ", ".join(f"{term.term} {number(term.contribution)}" for term in terms[:SHOWN_TERMS])


def _time(us: float) -> str:
    return f"{us:,.0f} µs" if us < 10_000 else f"{us / 1000:,.0f} ms"


def _footer() -> str:
    return (
        "<footer>A bar is as long as what the term adds to the score: query weight × impact × the scale of the index. "
        "Together they are the score, exactly. Made by lsr.</footer>"
    )
