"""Search options of requests: read from a query string or a JSON object by the descriptions that options have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from lsr.errors import UsageError
from lsr.io.option_spec import OFF, OptionSpec
from lsr.output.hit_view import HitView
from lsr.query.options import SearchOptions, check_names, option_spec, option_specs
from lsr.server.problems import bad_request
from lsr.server.settings import Limits

VIEW_SPECS: Mapping[str, OptionSpec] = {option.name: option.metadata["option"] for option in fields(HitView)}
QUERY, QUERIES, RERANK, LOCATE = "q", "queries", "rerank", "locate"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A checked request: the texts of its queries, the options of the search, and those of how hits are shown.

    is_batch: it came as a list, and is answered by a list.
    """

    texts: tuple[str, ...]
    options: SearchOptions
    view: HitView
    is_batch: bool = False


def search_names() -> tuple[str, ...]:
    """Return the names of the search options that a request may give."""
    return tuple(name for name, spec, _ in option_specs() if not spec.local or name in (RERANK, LOCATE))


def specs_of_request() -> dict[str, OptionSpec]:
    """Return the descriptions of all options that a request may give, by name."""
    return {name: option_spec(name) for name in search_names()} | dict(VIEW_SPECS)


def options_of_pairs(pairs: Sequence[tuple[str, str]], default: SearchOptions, limits: Limits) -> SearchRequest:
    """Return the request of a query string. default: options that it doesn't give.

    Raises Problem for a missing query and beyond a limit, UsageError for an unknown name or a value that an option
    can't have.
    """
    given = _once(pairs)
    texts = [given.pop(QUERY, "")]
    values: dict[str, Any] = {}
    for name, text in given.items():
        spec = _spec(name)
        values[name] = spec.parse(name, text)
    return _checked(texts, values, default, limits)


def options_of_object(body: Any, default: SearchOptions, limits: Limits) -> SearchRequest:
    """Return the request of a JSON object. See `options_of_pairs`."""
    if not isinstance(body, dict):
        raise bad_request('the body must be a JSON object, as {"q": "vitamin d", "k": 3}')
    values = dict(body)
    is_batch = QUERIES in values
    if is_batch and QUERY in values:
        raise bad_request("the body has q and queries: give one query as q, or several as queries", QUERIES)
    texts = values.pop(QUERIES) if is_batch else [values.pop(QUERY, "")]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        name, kind = (QUERIES, "a list of texts") if is_batch else (QUERY, "a text")
        raise bad_request(f"{name} must be {kind}", name)
    if len(texts) > limits.batch or not texts:
        raise bad_request(f"queries has {len(texts):,} texts; it must have 1 to {limits.batch}", QUERIES)
    for name, value in values.items():
        spec = _spec(name)
        if value == OFF and isinstance(value, str) and spec.may_be_off:
            values[name] = None
    return _checked(texts, values, default, limits, is_batch=is_batch)


def _once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    given = dict(pairs)
    if len(given) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise bad_request(f"the parameter {name!r:.80} is given twice; give it once", name)
    return given


def _spec(name: str) -> OptionSpec:
    """Return the description of an option that a request may give. Raises Problem for another name."""
    if name in VIEW_SPECS:
        return VIEW_SPECS[name]
    if name not in search_names():
        try:
            check_names([name])
        except UsageError as error:
            raise bad_request(_named(str(error)), name) from None
        raise bad_request(f"the option {name!r} is the server's: it can't be given in a request", name)
    return option_spec(name)


def _named(message: str) -> str:
    return message.replace("no search option", "no parameter")


def _checked(
    texts: Sequence[str], values: dict[str, Any], default: SearchOptions, limits: Limits, *, is_batch: bool = False
) -> SearchRequest:
    for text in texts:
        _check_text(text, QUERIES if is_batch else QUERY, limits)
    where = values.get("where")
    if isinstance(where, str) and len(where) > limits.query:
        raise bad_request(f"where has {len(where):,} characters; the limit is {limits.query:,}", "where")
    view = HitView(**{
        name: VIEW_SPECS[name].check(name, values.pop(name)) for name in VIEW_SPECS if name in values
    })  # fmt: skip
    _check_reranker(values, default)
    hybrid = default.hybrid_search
    if hybrid is not None and hybrid.reranker is not None and values.get("hybrid", hybrid.mode) != hybrid.mode:
        values[RERANK] = None  # a reranker scores candidates of the sparse leg alone
    options = default.replace(**values)
    _check_limits(options, limits)
    return SearchRequest(tuple(texts), options, view, is_batch)


def _check_text(text: str, name: str, limits: Limits) -> None:
    if not text.strip():
        raise bad_request(f"the parameter {name}, the query, is missing or empty; give at least one word", name)
    if len(text) > limits.query:
        raise bad_request(f"the query has {len(text):,} characters; the limit is {limits.query:,}", name)


def _check_reranker(values: dict[str, Any], default: SearchOptions) -> None:
    """Refuse a model that the server wasn't started with: a request must not name files or models to be loaded."""
    named = values.get(RERANK)
    if named is None or not isinstance(named, str):
        return
    own = default.hybrid_search.reranker if default.hybrid_search is not None else None
    if own is not None and named == own.name:
        del values[RERANK]
    elif named != "late-interaction":
        there = "late-interaction" if own is None else f"late-interaction, {own.name}"
        raise bad_request(
            f"rerank is {named!r:.80}; there are {there}, none: the server is started with others by --rerank", RERANK
        )


def _check_limits(options: SearchOptions, limits: Limits) -> None:
    n_docs = 0 if options.feedback is None else options.feedback.n_docs
    asked = {
        "k": (options.k, limits.k),
        "offset": (options.offset, limits.offset),
        "feedback": (n_docs, limits.feedback),
        "facets": (len(options.facets), limits.facets),
    }
    for name, (value, limit) in asked.items():
        if value > limit:
            what = "the number of facets" if name == "facets" else name
            raise bad_request(f"{what} is {value:,}; the limit is {limit:,}", name)
