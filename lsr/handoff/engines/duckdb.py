"""DuckDB, and any other SQL that reads Parquet: one join of the query's terms with the documents' postings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsr.handoff.engine import Engine, Facts, QueryTerms
from lsr.handoff.points import PointsWriter

LOAD = """CREATE TABLE docs AS SELECT position, doc_id, title, text, fields FROM 'data/*.parquet';
CREATE TABLE postings AS
  SELECT position, unnest(indices) AS term_id, unnest(impacts)::INTEGER AS impact FROM 'data/*.parquet'
  ORDER BY term_id, position;
"""


class DuckDb(Engine):
    """Parquet, statements that load it, and a query in SQL."""

    name, title = "duckdb", "DuckDB"

    def writer(self, folder: Path, facts: Facts) -> PointsWriter:
        """Return a writer of Parquet."""
        return PointsWriter(folder, facts)

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the statement. Its numbers come from the encoder, not from the text of the query."""
        pairs = ", ".join(f"({i}, {w!r}::DOUBLE)" for i, w in query.by_id.items()) or "(-1, 0.0::DOUBLE)"
        statement = (
            "WITH query(term_id, weight) AS (VALUES PAIRS) "
            "SELECT doc_id, score FROM (SELECT position, sum(weight * impact) AS score FROM postings "
            "JOIN query USING (term_id) GROUP BY position) JOIN docs USING (position) "
            "ORDER BY score DESC, position LIMIT K"
        )
        return statement.replace("PAIRS", pairs).replace("LIMIT K", f"LIMIT {k}"), 1.0

    def files(self, facts: Facts) -> dict[str, str]:
        """Return the statements and what to do with them."""
        readme = f"""{facts.n_docs:,} documents for DuckDB (pip install duckdb).

    import duckdb, lsr.handoff
    db = duckdb.connect("docs.duckdb")
    db.execute(open("load.sql").read())
    db.execute(lsr.handoff.open(".").query("a question", k=10)).fetchall()

A score times `handoff.encode("a question").unit` is the score of the index.
"""
        return {"load.sql": LOAD, "README.txt": readme}


ENGINE = DuckDb()
