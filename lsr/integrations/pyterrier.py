"""A transformer of PyTerrier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsr.api.index import Index
from lsr.errors import UsageError
from lsr.integrations.common import MissingFrameworkError, opened

try:
    import pandas as pd
    import pyterrier as pt
except ImportError as error:
    raise MissingFrameworkError("pyterrier") from error


class LsrRetriever(pt.Transformer):
    """Search of an index, as a transformer: it takes `qid` and `query`, and adds `docno`, `score` and `rank`.

    index: an `lsr.Index`, or the path or URL of one. num_results: number of documents of a query. options: further
    options of every search, as of `Index.search`. Queries are taken as plain text unless `plain=False` is given. Ranks
    begin at 0, as PyTerrier's do. No Java is started.
    """

    def __init__(self, index: Index | str | Path, num_results: int = 1000, **options: Any) -> None:
        super().__init__()
        self._index = opened(index)
        self._num_results = num_results
        self._options = {"plain": True, **options}

    def fuse_rank_cutoff(self, k: int) -> LsrRetriever | None:
        """Return a transformer of fewer results, which `% k` becomes."""
        return LsrRetriever(self._index, k, **self._options) if k < self._num_results else None

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Return the results of queries, as `Transformer.transform` has them."""
        pt.validate.query_frame(inp, extra_columns=["query"])
        if repeated := inp["qid"][inp["qid"].duplicated()].tolist():
            raise UsageError(f"the queries have the qid {repeated[0]!r:.60} twice; give each its own")
        texts = inp["query"].tolist()
        found = self._index.search(texts, k=self._num_results, **self._options) if texts else []
        counts = [len(results) for results in found]
        frame = inp.loc[inp.index.repeat(counts)].reset_index(drop=True)
        hits = [hit for results in found for hit in results]
        added = {
            "docno": pd.Series([hit.doc_id for hit in hits], dtype=object),
            "score": pd.Series([hit.score for hit in hits], dtype="float64"),
            "rank": pd.Series([hit.rank - 1 for hit in hits], dtype="int64"),
        }
        return frame.assign(**added)
