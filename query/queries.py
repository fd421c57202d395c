"""Encoded queries, as the legs of a search take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.query.typed_query import Conditions
from lsr.types import SparseBatch

DenseRow = npt.NDArray[np.float32]
"""float32, (dimension)."""


class Query(NamedTuple):
    """One encoded query.

    text, dense: None where no leg of the search needs them. conditions: of its operators. nearest: int64, positions of
    the nearest documents by dense vectors, where they were looked for together with those of other queries.
    """

    term_ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    text: str | None = None
    dense: DenseRow | None = None
    conditions: Conditions | None = None
    nearest: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Queries:
    """Encoded queries, row i being the i-th.

    dense: float32, (n, dimension), None where no leg is dense. texts: None for queries that came encoded. conditions:
    of their operators, None where no query has one.
    """

    sparse: SparseBatch
    dense: npt.NDArray[np.float32] | None = None
    texts: Sequence[str] | None = None
    conditions: Sequence[Conditions | None] | None = None

    def __post_init__(self) -> None:
        """Raise UsageError unless there is a dense row, a text and conditions for each sparse row."""
        for name, rows in (("dense vectors", self.dense), ("texts", self.texts), ("conditions", self.conditions)):
            if rows is not None and len(rows) != len(self.sparse):
                raise UsageError(f"{len(self.sparse)} sparse queries, but {len(rows)} {name}: give one a query")

    def __len__(self) -> int:
        return len(self.sparse)

    def row(self, number: int) -> Query:
        """Return one query."""
        return Query(
            *self.sparse.row(number),
            None if self.texts is None else self.texts[number],
            None if self.dense is None else self.dense[number],
            None if self.conditions is None else self.conditions[number],
        )
