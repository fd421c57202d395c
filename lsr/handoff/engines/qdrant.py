"""Qdrant: sparse vectors by term ids. Point ids are positions, since Qdrant takes whole numbers or UUIDs only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lsr.handoff.engine import Engine, Facts, QueryTerms
from lsr.handoff.points import PointsWriter, read_points

AT_ONCE = 256


class Qdrant(Engine):
    """Parquet that `load_qdrant` loads by Qdrant's own client."""

    name, title = "qdrant", "Qdrant"

    def writer(self, folder: Path, facts: Facts) -> PointsWriter:
        """Return a writer of Parquet."""
        return PointsWriter(folder, facts)

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the body of POST /collections/docs/points/query."""
        vector = {"indices": list(query.term_ids), "values": list(query.weights)}
        return {"query": vector, "using": "impacts", "limit": k, "with_payload": True}, 1.0

    def files(self, facts: Facts) -> dict[str, str]:
        """Return what to do with the data."""
        collection: dict[str, Any] = {"sparse_vectors": {"impacts": {}}}
        readme = f"""{facts.n_docs:,} documents for Qdrant (pip install qdrant-client).

    import lsr.handoff
    from lsr.handoff.engines.qdrant import load_qdrant
    from qdrant_client import QdrantClient, models
    client = QdrantClient(url="http://localhost:6333")
    load_qdrant(client, ".", collection="docs")
    found = lsr.handoff.open(".").query("a question", k=10)
    client.query_points("docs", query=models.SparseVector(**found["query"]), using="impacts", limit=10)

Equal scores come in no order of their own. A score times `handoff.encode("a question").unit` is the index's score.
"""
        return {"collection.json": json.dumps(collection, indent=1) + "\n", "README.txt": readme}


def load_qdrant(client: Any, folder: str | Path, *, collection: str = "docs") -> int:
    """Make a collection of an export by an open client (`qdrant_client.QdrantClient`); return how many points."""
    from qdrant_client import models

    client.create_collection(
        collection, vectors_config={}, sparse_vectors_config={"impacts": models.SparseVectorParams()}
    )
    n_points = 0
    for rows in read_points(Path(folder), AT_ONCE):
        points = [
            models.PointStruct(
                id=row["position"],
                vector={
                    "impacts": models.SparseVector(indices=row["indices"], values=list(map(float, row["impacts"])))
                },
                payload={
                    "doc_id": row["doc_id"], "title": row["title"], "text": row["text"],
                    "fields": json.loads(row["fields"] or "{}"),
                },
            )
            for row in rows
        ]  # fmt: skip
        client.upsert(collection, points)
        n_points += len(points)
    return n_points


ENGINE = Qdrant()
