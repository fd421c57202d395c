"""The texts of candidates, for rerankers that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.query.queries import Query

if TYPE_CHECKING:
    from lsr.query.sparse_search import SparseSearch


def texts_of(
    search: SparseSearch, query: Query, positions: npt.NDArray[np.int64], reranker: str
) -> tuple[str, list[str], list[str]]:
    """Return the query's text, the candidates' texts with titles, and their names for error messages.

    reranker: its name, for messages. Raises UsageError for a query that came encoded, and for a document without text.
    """
    if query.text is None:
        raise UsageError(f"{reranker} reads the text of a query, but it came as terms only: give its text")
    texts, names = [], []
    for document in search.documents_at(positions):
        if not document.full_text.strip():
            raise UsageError(
                f"the index at {search.index.path} has no text of document {document.doc_id!r}, which {reranker} "
                "reads: index texts, or vectors with the columns title and text"
            )
        texts.append(document.full_text)
        names.append(f"document {document.doc_id!r}")
    return query.text, texts, names
