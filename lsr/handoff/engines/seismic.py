"""Seismic: JSON lines of token weights, for an approximate search over 16-bit floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsr.handoff.engine import Engine, Facts, Lines, QueryTerms, compact


class Seismic(Engine):
    """JSON lines; a query is two lists."""

    name, title = "seismic", "Seismic"

    def writer(self, folder: Path, facts: Facts) -> Lines:
        """Return a writer of one file, which is what Seismic reads."""
        one = Facts(facts.n_docs, facts.n_terms, facts.scale, facts.name, max(facts.n_docs, 1))
        return Lines(
            folder, one, "jsonl", lambda p: compact({"id": p.doc_id, "content": p.text, "vector": p.vector})
        )  # fmt: skip

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the tokens and weights of `SeismicIndex.search`."""
        return {"query_components": list(query.terms), "query_values": list(query.weights), "k": k}, 1.0

    def files(self, facts: Facts) -> dict[str, str]:
        """Return what to do with the data."""
        readme = f"""{facts.n_docs:,} documents for Seismic (pip install pyseismic-lsr).

    import numpy as np, lsr.handoff
    from seismic import SeismicIndex, get_seismic_string
    index = SeismicIndex.build("data/part-00000.jsonl")
    query = lsr.handoff.open(".").query("a question", k=10)
    index.search(query_id="q", query_components=np.array(query["query_components"], dtype=get_seismic_string()),
                 query_values=np.array(query["query_values"], dtype=np.float32), k=query["k"], query_cut=50,
                 heap_factor=0.7)

The search is approximate; scores are those of 16-bit floats.
"""
        return {"README.txt": readme}


ENGINE = Seismic()
