"""All documents that hold a term of a query: counted, sorted by a field, their fields' values counted.

Exact, from the posting lists: a document matches if its score is above 0 and the filter allows it, or if it holds all
that the query requires. Where documents were
cut into passages, one matches if a passage of it does; documents are counted, never passages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.io.fork_safe import cached_property
from lsr.query.engine.engine import Ranking
from lsr.query.engine.numpy_engine import search_all
from lsr.query.engine.query_weights import integer_weights
from lsr.query.sparse_search import Scope, SparseSearch, SparseVector
from lsr.types import FacetValue

MOST_VALUES = 100
"""Values of a facet: the most frequent ones."""


@dataclass(frozen=True)
class Matches:
    """The matching documents of a query, a position each; of a document's passages, the best.

    positions: int64, ascending. scores: float64. n_postings: of the query's terms; n_searched: segments with one.
    """

    search: SparseSearch
    positions: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    n_postings: int
    n_searched: int

    def __len__(self) -> int:
        return len(self.positions)

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """The kinds of the fields that documents of the index have."""
        from lsr.query.filters.columns import column_kinds

        return column_kinds(self.search.index)

    def sorted_by(self, sort: str, k: int, min_score: float | None = None) -> Ranking:
        """Return the first k matches by a field, ascending, or descending for `-field`.

        Documents without the field come last; ties are in order of score, then of addition. min_score: leave out
        matches with a lower one. Raises UsageError for a field that no document has, or of lists, which have no order.
        """
        table = self.table(sort, min_score)
        first = table.take(sort_order(table, sort, k))
        positions, scores = first["position"].to_numpy(), first["score"].to_numpy()
        return Ranking(positions, scores, ("plain",) * self.n_searched, self.n_postings)

    def table(self, sort: str, min_score: float | None = None) -> Any:
        """Return the matches as a pyarrow table of `value`, by which `sort` orders, `score` and `position`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        name = sort.removeprefix("-")
        if self._kind(name, "sort") == "texts":
            raise UsageError(f"sort: the field {name!r} holds lists of texts, which have no order")
        kept = slice(None) if min_score is None else self.scores >= min_score
        positions, scores = self.positions[kept], self.scores[kept]
        values = pa.chunked_array(self._columns(name, "sort", positions), type=self._type(name))
        if not self.search.index.places.is_sequential:  # the columns come by segment
            given = [indices for _, indices, _ in self.search.by_segment(positions)]
            values = values.take(np.argsort(np.concatenate([np.empty(0, np.int64), *given])))
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), None, values)
        return pa.table({"value": values, "score": scores, "position": positions})

    def facet(self, name: str) -> tuple[FacetValue, ...]:
        """Return the values of a field with the number of matches that have each, most frequent first, 100 at most.

        Equally frequent values are in ascending order. A list counts once for each of its different values; dates
        are ISO 8601 texts. Raises UsageError for a field that no document has.
        """
        return facet_of(self.counts(name))

    def counts(self, name: str) -> Counter[Any]:
        """Return all values of a field, each with the number of matches that have it."""
        import pyarrow.compute as pc

        counts: Counter[Any] = Counter()
        lists = self._kind(name, "facets") == "texts"
        for column in self._columns(name, "facets", self.positions):
            if lists:
                owners, values = pc.list_parent_indices(column).to_pylist(), pc.list_flatten(column).to_pylist()
                counts.update(value for _, value in set(zip(owners, values, strict=True)) if value is not None)
            else:
                pairs = pc.value_counts(column.drop_null())
                for value, count in zip(
                    pairs.field("values").to_pylist(), pairs.field("counts").to_pylist(), strict=True
                ):
                    counts[value] += count
        return counts

    def value_type(self, name: str) -> Any:
        """Return the pyarrow type of a field's values, of each of them where it holds lists."""
        import pyarrow as pa

        kind = self._type(name)
        return kind.value_type if pa.types.is_list(kind) else kind

    def _kind(self, name: str, option: str) -> str:
        kind = self.kinds.get(name)
        if kind is None:
            from lsr.query.filters.columns import unknown_field

            raise UsageError(f"{option}: {unknown_field(name, self.kinds)}")
        return kind

    def _type(self, name: str) -> Any:
        from lsr.indexer.storage.fields import TYPES

        return TYPES[self.kinds[name]]

    def _columns(self, name: str, option: str, positions: npt.NDArray[np.int64]) -> list[Any]:
        """Return a field's values at ascending positions, an array a segment."""
        from lsr.query.filters.columns import read_column

        kind = self._kind(name, option)
        return [
            read_column(segment, name, kind).take(rows).combine_chunks()
            for segment, _, rows in self.search.by_segment(positions)
        ]


def sort_order(table: Any, sort: str, k: int) -> npt.NDArray[np.int64]:
    """Return the first k rows of a table of matches by its values, then by score, then by position."""
    import pyarrow.compute as pc

    order = "descending" if sort.startswith("-") else "ascending"
    keys = [("value", order), ("score", "descending"), ("position", "ascending")]
    found: npt.NDArray[np.int64] = pc.sort_indices(table, sort_keys=keys).to_numpy()[:k].astype(np.int64)
    return found


def facet_of(counts: Mapping[Any, int]) -> tuple[FacetValue, ...]:
    """Return the most frequent values, equally frequent ones in ascending order, 100 at most."""
    found = sorted((-count, value) for value, count in counts.items() if value == value)  # NaN is no value
    return tuple(FacetValue(_shown(value), -count) for count, value in found[:MOST_VALUES])


def find_matches(search: SparseSearch, vector: SparseVector, scope: Scope) -> Matches:
    """Return all documents that hold a term of a query and pass the filter. Raises IndexDamagedError, UsageError."""
    if search.elsewhere is not None:
        found_elsewhere: Matches = search.elsewhere.find_matches(vector, scope)
        return found_elsewhere
    if scope.allowed is not None:
        scope.allowed.check(search.index)
    term_ids, weights = vector
    integers, factor = integer_weights(weights)
    scale = search.index.manifest.scale / factor
    positions, scores = [np.empty(0, np.int64)], [np.empty(0, np.float64)]
    n_postings = n_searched = 0
    for number, segment in enumerate(search.index.segments):
        segment.trust()
        terms, at = segment.local_terms(term_ids)
        used = integers[at] > 0
        terms = terms[used]
        if len(terms) == 0:
            continue
        segment.trust(terms)
        n_searched += 1
        n_postings += int(segment.df(terms).sum())
        bitmap = segment.allowed if scope.allowed is None else scope.allowed.bitmaps[number]
        doc_ords, points = search_all(segment.arrays, terms, integers[at][used], bitmap)
        of_segment = segment.arrays["insertion"][doc_ords].astype(np.int64)
        order = np.argsort(of_segment)
        positions.append(search.index.places.at(number, of_segment[order]))
        scores.append(points[order].astype(np.float64) * scale)
    found = np.concatenate(positions), np.concatenate(scores)
    if not search.index.places.is_sequential:
        in_order = np.argsort(found[0])
        found = found[0][in_order], found[1][in_order]
    if scope.finds_all and scope.allowed is not None:
        every = scope.allowed.positions(search.index)
        all_scores = np.zeros(len(every))
        all_scores[np.searchsorted(every, found[0])] = found[1]
        found = every, all_scores
    return Matches(search, *one_each(search, *found), n_postings, n_searched)


def one_each(
    search: SparseSearch, positions: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the best passage of each document; everything where documents were not cut."""
    if search.owners is None or not len(positions):
        return positions, scores
    owners = search.owners(positions)
    order = np.lexsort((positions, -scores, owners))
    _, first = np.unique(owners[order], return_index=True)
    best = np.sort(order[first])
    return positions[best], scores[best]


def _shown(value: Any) -> str | int | float | bool:
    if isinstance(value, str | int | float):
        return value
    text: str = value.isoformat()
    return text.removesuffix("T00:00:00")
