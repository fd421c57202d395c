"""Ranking under the conditions of a typed query, by reading the best documents first.

Posting lists have no positions, so a phrase is looked for in texts, and so is a single word, of which the index knows
the stem. A frequent word would have nearly all texts read. The best documents, though, mostly hold what was required.
"""

from __future__ import annotations

import numpy as np

from lsr.query.deadline import check_deadline
from lsr.query.engine.engine import Ranking
from lsr.query.filters.filter import DocumentFilter
from lsr.query.queries import Query
from lsr.query.sparse_search import Scope, SparseSearch

FEW = 256
"""Texts that are all read at once, and their answer cached, rather than by rank."""
MOST_READ = 2048
"""Documents that are read by rank before all that may meet the conditions are."""
AHEAD = 16
"""Documents read beside as many as are wanted."""


def rank_typed(search: SparseSearch, query: Query, k: int, scope: Scope) -> Ranking | None:
    """Return the k best documents that meet a query's conditions, by its terms.

    None where the filter of all documents that meet them (`SparseSearch.meeting`) is cached, cheaper, or needed: to
    find documents that hold what is required, but no term of the query. Shards elsewhere decide that for themselves.
    """
    conditions = query.conditions
    if search.elsewhere is not None or conditions is None or scope.approximate is not None or k + AHEAD > MOST_READ:
        return None
    held = search.filters.held
    if search.filters.known(conditions) is not None or held.n_read(conditions) <= FEW:
        return None
    if conditions.required:
        possible = DocumentFilter.from_mask(search.index, held.possible(conditions))
        scope = scope._replace(allowed=possible if scope.allowed is None else scope.allowed & possible)
    wanted, meets = k + AHEAD, np.empty(0, bool)
    while True:
        check_deadline("search")
        ranking = search.rank_vector((query.term_ids, query.weights), wanted, scope)
        meets = np.concatenate([meets, held.which_meet(ranking.positions[len(meets) :], conditions)])
        places = np.flatnonzero(meets)
        if len(places) >= k or (len(ranking) < wanted and not conditions.required):
            return ranking.at(places[:k])
        if len(ranking) < wanted or wanted == MOST_READ:
            return None
        wanted = min(4 * wanted, MOST_READ)
