"""A retriever of LlamaIndex."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsr.api.index import Index
from lsr.integrations.common import MissingFrameworkError, metadata_of, opened

try:
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ImportError as error:
    raise MissingFrameworkError("llama-index-core") from error


class LsrRetriever(BaseRetriever):
    """Search of an index, as a retriever: `LsrRetriever("notes", k=5).retrieve("a query")`.

    index: an `lsr.Index`, or the path or URL of one. k: number of nodes. options: further options of every search, as
    of `Index.search`: `where`, `hybrid` and others. A node's metadata are its document's fields, with `title`.
    """

    def __init__(self, index: Index | str | Path, k: int = 10, **options: Any) -> None:
        self._index = opened(index)
        self._options = {"k": k, **options}
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [
            NodeWithScore(node=TextNode(id_=hit.doc_id, text=hit.text, metadata=metadata_of(hit)), score=hit.score)
            for hit in self._index.search(query_bundle.query_str, **self._options)
        ]
