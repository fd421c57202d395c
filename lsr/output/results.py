"""Output of counts over all matching documents: their total, and facets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lsr.io.printable import clean
from lsr.output.hits import INDENT
from lsr.output.numbers import counted
from lsr.output.terminal import BOLD, DIM, columns, shortened, style, text_width
from lsr.types import FacetValue, MissingShard

WIDEST_VALUE = 40

Facets = Mapping[str, tuple[FacetValue, ...]]


def results_object(
    *, query: str | None, query_id: str | None = None, total: int | None, facets: Facets,
    missing: Sequence[MissingShard] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return the object that `--json` prints after the hits of a query, where there is more to say of them.

    That is a total, facets, or shards that a partial answer lacks.
    """
    shown: dict[str, Any] = {} if query is None else {"query": query}
    shown |= {} if query_id is None else {"query_id": query_id}
    shown |= missing_object(missing, reasons=True)
    return {"results": shown | counts_object(total, facets)}


def missing_object(missing: Sequence[MissingShard], *, reasons: bool = False) -> dict[str, Any]:
    """Return the shards that a partial answer lacks as JSON values; without a key where there are none.

    reasons: say what they gave as one, which may name paths of this machine.
    """
    if not missing:
        return {}
    shards = [
        {"shard": one.name, "documents": one.n_docs} | ({"reason": one.reason} if reasons else {}) for one in missing
    ]
    return {"missing": {"documents": sum(one.n_docs for one in missing), "shards": shards}}


def missing_line(missing: Sequence[MissingShard]) -> str:
    """Return a sentence that says which shards a partial answer lacks; an empty text where there are none."""
    if not missing:
        return ""
    n_docs = sum(one.n_docs for one in missing)
    names = ", ".join(one.name for one in missing)
    return f"Partial: {counted(n_docs, 'document')} of {counted(len(missing), 'shard')} not searched ({names})"


def counts_object(total: int | None, facets: Facets) -> dict[str, Any]:
    """Return a total and facets as JSON values; without a key where they were not asked for."""
    shown: dict[str, Any] = {} if total is None else {"total": total}
    if facets:
        shown["facets"] = {
            name: [{"value": found.value, "count": found.count} for found in values] for name, values in facets.items()
        }
    return shown


def counts_lines(total: int | None, facets: Facets) -> Iterator[str]:
    """Yield the lines of a terminal: the total, and a small table for each facet."""
    if total is not None:
        verb = "holds" if total == 1 else "hold"
        yield style(f"{counted(total, 'document')} {verb} a term of the query", BOLD)
    for name, values in facets.items():
        yield style(shortened(clean(name), columns()), BOLD)
        names = [shortened(clean(value_text(found.value)), WIDEST_VALUE) for found in values]
        wide = max((text_width(name) for name in names), default=0)
        for name, found in zip(names, values, strict=True):
            yield f"{' ' * INDENT}{name}{' ' * (wide - text_width(name))}  {found.count:>9,}"
        if not values:
            yield " " * INDENT + style("no matching document has it", DIM)


def value_text(value: Any) -> str:
    """Return a field's value as text: truth values in lower case, as the filter language has them."""
    return str(value).lower() if isinstance(value, bool) else str(value)
