"""PostgreSQL with pgvector: values of type `sparsevec` in the text form of COPY, searched by a scan in the database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lsr.handoff.engine import Engine, Facts, Lines, Point, QueryTerms

MOST_NON_ZERO, MOST_OF_HNSW = 16_000, 1_000
MOST_DIMENSIONS = 1_000_000_000


class PgVector(Engine):
    """Files for COPY, the table, and a query by the negative inner product."""

    name, title = "pgvector", "pgvector"

    def writer(self, folder: Path, facts: Facts) -> Lines:
        """Return a writer of lines for COPY."""
        return Lines(folder, facts, "copy", lambda point: _line(point, facts.n_terms))

    def fault(self, point: Point) -> str | None:
        """Return the limits of values and texts."""
        if len(point.term_ids) > MOST_NON_ZERO:
            return f"more than {MOST_NON_ZERO:,} terms"
        return "a NUL character in its text" if "\0" in point.doc_id + point.title + point.text else None

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the statement and its parameters, as psycopg takes them; the dimensions are those of the column."""
        values = ",".join(f"{i + 1}:{w!r}" for i, w in query.by_id.items())
        statement = (
            "SELECT doc_id, -(impacts <#> q.v) AS score FROM docs, (SELECT %s::sparsevec AS v) AS q "
            "WHERE (impacts <#> q.v) < 0 ORDER BY impacts <#> q.v, position LIMIT %s"
        )
        return {"statement": statement, "parameters": [f"{{{values}}}/{query.n_terms}", k]}, 1.0

    def files(self, facts: Facts) -> dict[str, str]:
        """Return the table and what to do with it."""
        schema = (
            "CREATE EXTENSION IF NOT EXISTS vector;\n"
            "CREATE TABLE docs (position bigint PRIMARY KEY, doc_id text UNIQUE, title text, text text, fields jsonb, "
            f"impacts sparsevec({facts.n_terms}));\n"
        )
        readme = f"""{facts.n_docs:,} documents for PostgreSQL with pgvector.

    psql -f schema.sql
    for part in data/part-*.copy; do psql -c "\\copy docs FROM '$part'"; done

    import lsr.handoff, psycopg
    found = lsr.handoff.open(".").query("a question", k=10)
    psycopg.connect().execute(found["statement"], found["parameters"]).fetchall()

The scan is exact. An HNSW index (sparsevec_ip_ops) takes values of up to {MOST_OF_HNSW:,} terms, and is approximate.
A score times `handoff.encode("a question").unit` is the score of the index.
"""
        return {"schema.sql": schema, "README.txt": readme}


def _line(point: Point, dimensions: int) -> str:
    values = ",".join(f"{i + 1}:{w}" for i, w in zip(point.term_ids.tolist(), point.impacts.tolist(), strict=True))
    columns = (str(point.position), point.doc_id, point.title, point.text, json.dumps(dict(point.fields)))
    return "\t".join([*map(_escaped, columns), f"{{{values}}}/{dimensions}"])


def _escaped(text: str) -> str:
    """Return a text as a column of COPY."""
    text = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    return text.replace("\r", "\\r")


ENGINE = PgVector()
