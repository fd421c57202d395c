"""Milvus: sparse float vectors by term ids, searched by inner product. It refuses documents without a term."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lsr.handoff.engine import Engine, Facts, Point, QueryTerms
from lsr.handoff.points import PointsWriter, read_points

AT_ONCE = 256
LONGEST_TEXT = 65_535


class Milvus(Engine):
    """Parquet that `load_milvus` loads by Milvus' own client."""

    name, title = "milvus", "Milvus"

    def writer(self, folder: Path, facts: Facts) -> PointsWriter:
        """Return a writer of Parquet."""
        return PointsWriter(folder, facts)

    def leaves_out(self, point: Point) -> str | None:
        """Leave out documents without a term, which Milvus refuses."""
        return None if len(point.term_ids) else "documents without a term"

    def fault(self, point: Point) -> str | None:
        """Return the limit of texts."""
        longest = max(len(text.encode("utf-8", "surrogatepass")) for text in (point.text, point.title, point.doc_id))
        return f"a text of more than {LONGEST_TEXT:,} bytes" if longest > LONGEST_TEXT else None

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the arguments of `MilvusClient.search`, without a part of the query dropped."""
        return {
            "data": [query.by_id], "anns_field": "impacts", "limit": k, "output_fields": ["doc_id", "position"],
            "search_params": {"metric_type": "IP", "params": {"drop_ratio_search": 0.0}},
        }, 1.0  # fmt: skip

    def files(self, facts: Facts) -> dict[str, str]:
        """Return what to do with the data."""
        readme = f"""{facts.n_docs:,} documents for Milvus (pip install pymilvus), those without a term left out.

    import lsr.handoff
    from lsr.handoff.engines.milvus import load_milvus
    from pymilvus import MilvusClient
    client = MilvusClient(uri="http://localhost:19530")
    load_milvus(client, ".", collection="docs")
    client.search("docs", **lsr.handoff.open(".").query("a question", k=10))

Equal scores come in no order of their own. A distance times `handoff.encode("a question").unit` is the index's score.
"""
        return {"README.txt": readme}


def load_milvus(client: Any, folder: str | Path, *, collection: str = "docs") -> int:
    """Make a collection of an export by an open client (`pymilvus.MilvusClient`); return how many rows."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("position", DataType.INT64, is_primary=True)
    for name in ("doc_id", "title", "text"):
        schema.add_field(name, DataType.VARCHAR, max_length=LONGEST_TEXT)
    schema.add_field("impacts", DataType.SPARSE_FLOAT_VECTOR)
    index = client.prepare_index_params()
    index.add_index("impacts", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    client.create_collection(collection, schema=schema, index_params=index)
    n_rows = 0
    for rows in read_points(Path(folder), AT_ONCE):
        client.insert(
            collection,
            [
                {
                    "position": row["position"], "doc_id": row["doc_id"], "title": row["title"], "text": row["text"],
                    "fields": json.loads(row["fields"] or "{}"),
                    "impacts": dict(zip(row["indices"], map(float, row["impacts"]), strict=True)),
                }
                for row in rows
            ],
        )  # fmt: skip
        n_rows += len(rows)
    return n_rows


ENGINE = Milvus()
