"""A search and its explanation as a page to be saved: one file that loads nothing and links to nothing."""

from __future__ import annotations

from lsr.output.numbers import counted
from lsr.output.results import value_text
from lsr.query.explain.explain import ExplainedSearch
from lsr.query.sparse_search import SparseSearch
from lsr.server.pages.rendering import render
from lsr.server.pages.views import HitMaker, engine_view
from lsr.types import FacetValue

WHOLE = 100_000
"""Characters of a text that are shown after it is opened."""
SHOWN_VALUES = 20
"""Values of a facet; the number of further ones is shown."""


def search_page(explained: ExplainedSearch, searcher: SparseSearch) -> str:
    """Return a separate page about one search. searcher: the one that made it."""
    maker = HitMaker(explained, searcher, whole_characters=WHOLE)
    status = counted(len(explained.hits), "result")
    if explained.total is not None:
        status += f"; {counted(explained.total, 'document')} with a term of the query"
    return render(
        "saved_search.html",
        title=explained.query,
        status=status,
        counts=[(name, _values(values)) for name, values in explained.facets.items()],
        hits=[maker.view(found) for found in explained.hits],
        engine_facts=engine_view(explained),
    )


def _values(values: tuple[FacetValue, ...]) -> str:
    shown = " · ".join(f"{value_text(found.value)} ({found.count:,})" for found in values[:SHOWN_VALUES])
    more = f" · … {len(values) - SHOWN_VALUES} more" if len(values) > SHOWN_VALUES else ""
    return (shown or "no matching document has it") + more
