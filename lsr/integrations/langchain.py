"""A retriever of LangChain."""

from __future__ import annotations

from typing import Any

from lsr.integrations.common import MissingFrameworkError, metadata_of, opened

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from pydantic import Field, field_validator
except ImportError as error:
    raise MissingFrameworkError("langchain-core") from error


class LsrRetriever(BaseRetriever):
    """Search of an index, as a retriever: `LsrRetriever(index="notes", k=5).invoke("a query")`.

    index: an `lsr.Index`, or the path or URL of one. k: number of documents. options: further options of every
    search, as of `Index.search`. `invoke` takes `k`, `filter` (a filter such as `year >= 2020`) and options as well.
    A document's metadata are its fields, with `title` and `score`.
    """

    index: Any
    k: int = 10
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("index", mode="after")
    @classmethod
    def _open(cls, index: Any) -> Any:
        return opened(index)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        filter: str | None = None,  # noqa: A002
        **options: Any,
    ) -> list[Document]:
        given = {**self.options, "k": self.k if k is None else k, **options}
        if filter is not None:
            given["where"] = filter
        return [
            Document(page_content=hit.text, id=hit.doc_id, metadata={**metadata_of(hit), "score": hit.score})
            for hit in self.index.search(query, **given)
        ]
