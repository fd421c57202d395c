"""The page of `lsr serve`: a search box, and below it the explained hits."""

from __future__ import annotations

from lsr.api.documents import count_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.output.numbers import counted
from lsr.query.explain.explain import ExplainedSearch
from lsr.server.pages.fragments import page, plain
from lsr.server.pages.search import search_body


def served_page(index: StoredIndex, query: str, explained: ExplainedSearch | None = None) -> str:
    """Return the page: what was searched for, and what was found; without a query, the box alone."""
    encoder = str(index.manifest.encoder.get("name", index.manifest.encoder["kind"]))
    box = (
        f'<input type="search" name="q" value="{plain(query)}" placeholder="What are you looking for?"'
        f' aria-label="query" maxlength="10000" required{"" if query else " autofocus"}>'
    )
    body = [
        f'<p class="eyebrow">{counted(count_documents(index), "document")}, by {plain(encoder)}</p>',
        f'<form action="/" method="get" role="search">{box}<button>Search</button></form>',
        *(() if explained is None else search_body(explained)),
    ]
    return page(f"{query} – lsr" if query else "lsr", body)
