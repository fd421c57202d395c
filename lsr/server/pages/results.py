"""The page of results: hits first, facets beside them, and a form that keeps every option."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lsr.errors import UsageError
from lsr.output.numbers import counted
from lsr.output.results import missing_line, value_text
from lsr.query.explain.explain import ExplainedSearch
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.server.pages.address import Address, options_of
from lsr.server.pages.index_facts import IndexFacts, filter_of, index_facts, quoted_name
from lsr.server.pages.rendering import render
from lsr.server.pages.views import Chip, HitMaker, engine_view

LIMITS = {"k": 100, "offset": 10_000, "feedback": 100, "facets": 20}
"""The most that a page may be asked for: each of its hits is explained."""
SHOWN_VALUES = 8
SIZES = (10, 20, 50, 100)
MOST_SORTS = 12
HYBRIDS = {"none": "words", "rerank": "words, then meaning", "union": "words and meaning"}


@dataclass(frozen=True, slots=True)
class FacetLink:
    """A value of a facet, with the address of the results with it, or without a chosen one."""

    label: str
    count: int
    href: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """A field with its values. shown: values before the further ones are folded away."""

    name: str
    values: Sequence[FacetLink]
    shown: int = SHOWN_VALUES


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered page with its HTTP status."""

    html: str
    status: int = 200


def results_page(searcher: Searcher, address: Address, *, name: str = "Search") -> Page:
    """Return the page that an address asks for; without a query, the form alone.

    name: of the index, for headings. What is wrong with a search is said on the page, with the status 400.
    """
    facts = index_facts(searcher.index)
    shared = _form(facts, address, searcher.options) | {"name": name, "base": address.base}
    if not address.query:
        return Page(render("results.html", **_nothing("Ready"), **shared))
    try:
        options = page_options(searcher, address, facts)
        explained = searcher.explain(address.query, options)
    except UsageError as error:
        return Page(render("results.html", **_nothing("Not searched", problem=str(error)), **shared), 400)
    return Page(render("results.html", **_found(searcher, address, facts, options, explained), **shared))


def page_options(searcher: Searcher, address: Address, facts: IndexFacts) -> SearchOptions:
    """Return the options of a page's search: those of the address, with counts and facets. Raises UsageError."""
    options = options_of(address, searcher.options)
    where = filter_of(searcher.index, address.get("where"), address.chosen)
    options = options.replace(where=where or options.where, explain=False)
    n_docs = 0 if options.feedback is None else options.feedback.n_docs
    asked = {"k": options.k, "offset": options.offset, "feedback": n_docs, "facets": len(options.facets)}
    for option, limit in LIMITS.items():
        if asked[option] > limit:
            raise UsageError(f"{option} is {asked[option]:,}; the limit of a page is {limit:,}: ask for less")
    if not facts.is_counted:
        return options
    facets = options.facets if address.get("facets") else facts.facet_fields
    chosen = (field for field, _ in address.chosen if field not in facets)
    return options.replace(total=True, facets=tuple(dict.fromkeys([*facets, *chosen]))[: LIMITS["facets"]])


def _nothing(status: str, problem: str = "") -> dict[str, Any]:
    return {"status": status, "partial": "", "problem": problem, "hits": (), "facets": (), "engine_facts": None,
            "unknown": (), "previous": "", "next": "", "offset": 0, "is_filtered": False}  # fmt: skip


def _found(
    searcher: Searcher, address: Address, facts: IndexFacts, options: SearchOptions, explained: ExplainedSearch
) -> dict[str, Any]:
    def chip_link(name: str, value: str) -> str:
        clickable = name in facts.facet_fields and not address.is_chosen(name, value)
        return address.choose(name, value) if clickable else ""

    maker = HitMaker(explained, searcher, address.document, chip_link)
    n_hits, k, offset = len(explained.hits), options.k, options.offset
    has_more = n_hits == k and offset + k <= LIMITS["offset"]
    if explained.total is not None and options.hybrid_search is None and options.min_score is None:
        has_more = has_more and offset + k < explained.total
    earlier = max(0, offset - k) or None
    return {
        "status": _status(explained, offset),
        "partial": missing_line(explained.missing),
        "problem": "",
        "hits": [maker.view(found) for found in explained.hits],
        "facets": list(_facets(address, explained)),
        "engine_facts": engine_view(explained),
        "unknown": explained.unknown,
        "previous": address.link(offset=earlier) if offset else "",
        "next": address.link(offset=offset + k) if has_more else "",
        "page_text": _page_text(explained.total, offset, k),
        "offset": offset,
        "is_filtered": options.where is not None,
    }


def _status(explained: ExplainedSearch, offset: int) -> str:
    facts, n_hits = explained.engine, len(explained.hits)
    if not n_hits:
        return "No results"
    took = (facts.encode_us + facts.feedback_us + facts.search_us + facts.rerank_us + facts.documents_us) / 1000
    places = f"{offset + 1:,}–{offset + n_hits:,}" if n_hits > 1 else f"{offset + 1:,}"
    of = "" if explained.total is None else f" of {counted(max(explained.total, offset + n_hits), 'result')}"
    return f"{places}{of}, in {took:,.0f} ms" if took >= 1 else f"{places}{of}, in less than 1 ms"


def _page_text(total: int | None, offset: int, k: int) -> str:
    number = offset // k + 1
    return f"Page {number:,}" if total is None else f"Page {number:,} of {max(number, -(-total // k)):,}"


def _facets(address: Address, explained: ExplainedSearch) -> Iterator[Facet]:
    for name, values in explained.facets.items():
        links = [
            FacetLink(text or "(empty)", found.count, address.choose(name, text), address.is_chosen(name, text))
            for found in values
            for text in [value_text(found.value)]
        ]
        if len(links) > 1 or any(link.is_chosen for link in links):
            yield Facet(name, sorted(links, key=lambda link: not link.is_chosen))


def _form(facts: IndexFacts, address: Address, default: SearchOptions) -> dict[str, Any]:
    """Return what the form shows: the options of the address, and choices."""
    sizes = _choices([("", f"{default.k}"), *((f"{n}", f"{n}") for n in SIZES if n != default.k)], address.get("k"))
    fields = facts.sort_fields[:MOST_SORTS]
    sorts = [
        ("", "best first"),
        *(pair for name in fields for pair in ((name, f"{name} ↑"), (f"-{name}", f"{name} ↓"))),
    ]
    mode = "none" if default.hybrid_search is None else default.hybrid_search.mode
    hybrids = [("", HYBRIDS.get(mode, mode)), *(pair for pair in HYBRIDS.items() if pair[0] != mode)]
    visible = ["where", "k", *(["sort"] if facts.sort_fields else []), *(["hybrid"] if facts.has_dense else [])]
    chips = [Chip(field, value, address.choose(field, value)) for field, value in address.chosen]
    if where := address.get("where"):
        chips.insert(0, Chip("where", where, address.link(where=None)))
    return {
        "facts": facts,
        "address": address,
        "sizes": sizes,
        "sorts": _choices(sorts, address.get("sort")),
        "hybrids": _choices(hybrids, address.get("hybrid")),
        "hidden": address.hidden(visible),
        "chips": chips,
        "clear": replace(address, given=_without(address.given, "where"), chosen=()).link(),
        "filter_hint": filter_hint(facts),
    }  # fmt: skip


def _without(given: Sequence[tuple[str, str]], name: str) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in given if pair[0] != name)


def _choices(choices: list[tuple[str, str]], chosen: str) -> list[tuple[str, str]]:
    """Return the choices of a select box, with one that was asked for by the address alone."""
    return choices if chosen in (value for value, _ in choices) else [*choices, (chosen, chosen)]


def filter_hint(facts: IndexFacts) -> str:
    """Return an example of a filter, by a field of the index."""
    shapes = {"int": "{} >= 10", "float": "{} >= 0.5", "date": "{} >= 2020-01-31", "bool": "{} == true"}
    shapes |= {"text": "{} == {}", "texts": "{1} in {0}"}
    wanted = sorted(
        ((name, kind) for name, kind in facts.kinds.items() if "`" not in name),
        key=lambda pair: (pair[0] not in facts.examples, pair[0]),
    )
    return next(
        (shapes[kind].format(quoted_name(name), facts.examples.get(name, "'value'")) for name, kind in wanted),
        "doc_id == 'name'",
    )
