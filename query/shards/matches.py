"""All matches of a query in a set whose shards are searched apart: counted, sorted, counted by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lsr.query.engine.engine import Ranking
from lsr.query.matches import Matches, facet_of, sort_order
from lsr.query.shards.packing import Array

if TYPE_CHECKING:
    from lsr.types import FacetValue

Asked = Callable[[Mapping[str, Any]], Sequence[tuple[Any, list[Array]]]]
"""Asks every shard for its part of the matches."""


@dataclass(frozen=True)
class SetMatches:
    """The matching documents of a query, which stay at their shards. See `lsr.query.matches.Matches`."""

    ask: Asked

    def __len__(self) -> int:
        return sum(found["n"] for found, _ in self.ask({}))

    def facet(self, name: str) -> tuple[FacetValue, ...]:
        """Return the values of a field with the number of matches that have each; see `Matches.facet`."""
        import pyarrow as pa

        counts: Counter[Any] = Counter()
        for _, (data,) in self.ask({"facet": name}):
            table = pa.ipc.open_stream(data.tobytes()).read_all()
            counts.update(dict(zip(table["value"].to_pylist(), table["count"].to_pylist(), strict=True)))
        return facet_of(counts)

    def sorted_by(self, sort: str, k: int, min_score: float | None = None) -> Ranking:
        """Return the first k matches by a field; see `Matches.sorted_by`."""
        import pyarrow as pa

        replies = self.ask({"sort": sort, "k": k, "min_score": min_score})
        table = pa.concat_tables(pa.ipc.open_stream(data.tobytes()).read_all() for _, (data,) in replies)
        first = table.take(sort_order(table, sort, k))
        facts = [found for found, _ in replies]
        return Ranking(
            first["position"].to_numpy().astype(np.int64), first["score"].to_numpy().astype(np.float64),
            ("plain",) * sum(found["n_searched"] for found in facts), sum(found["n_postings"] for found in facts),
        )  # fmt: skip


def shard_matches(found: Matches, asked: Mapping[str, Any], first: int) -> tuple[Any, Sequence[Array]]:
    """Return what a shard replies. first: position of its first row in the set."""
    import pyarrow as pa

    facts = {"n": len(found), "n_searched": found.n_searched, "n_postings": found.n_postings}
    if "sort" in asked:
        table = found.table(asked["sort"], asked["min_score"])
        table = table.take(sort_order(table, asked["sort"], asked["k"]))
        return facts, [_bytes(table.set_column(2, "position", pa.array(table["position"].to_numpy() + first)))]
    if "facet" in asked:
        counts = found.counts(asked["facet"])
        kind = found.value_type(asked["facet"])
        columns = pa.array(list(counts), kind), pa.array(list(counts.values()), pa.int64())
        return facts, [_bytes(pa.table({"value": columns[0], "count": columns[1]}))]
    return facts, []


def _bytes(table: Any) -> Array:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return np.frombuffer(sink.getvalue(), np.uint8)
