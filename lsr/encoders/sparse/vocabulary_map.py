"""Mapping of a model's query terms to an index's vocabulary, which may lack some or number them otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import QueryEncoder, TermLookup
from lsr.types import SparseBatch

ABSENT = -1
_NOT_LOOKED_UP = -2


class TermMap:
    """Map from token ids to an index's term ids, each looked up once; an index may lack some tokens.

    token_of: returns the token of an id. n_tokens: number of ids.
    """

    def __init__(self, token_of: Callable[[int], str | None], n_tokens: int, lookup: TermLookup) -> None:
        self._token_of = token_of
        self._lookup = lookup
        self._known = np.full(n_tokens, _NOT_LOOKED_UP, np.int64)

    def __call__(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the term ids of token ids, ABSENT where the index doesn't hold a token."""
        found = self._known[ids]
        if (found == _NOT_LOOKED_UP).any():
            for i in ids[found == _NOT_LOOKED_UP].tolist():
                token = self._token_of(i)
                term_id = None if token is None else self._lookup(token)
                self._known[i] = ABSENT if term_id is None else term_id
            found = self._known[ids]
        return found


class RemappedQueryEncoder:
    """Queries of `encoder` in an index's term ids; terms that the index doesn't hold are dropped."""

    def __init__(self, encoder: QueryEncoder, terms: Sequence[str], lookup: TermLookup, vocab_size: int) -> None:
        self._encoder = encoder
        self._term_map = TermMap(terms.__getitem__, len(terms), lookup)
        self._vocab_size = vocab_size

    @property
    def tokenizer(self) -> Any:
        """The encoder's tokenizer, None where it has none."""
        return getattr(self._encoder, "tokenizer", None)

    @property
    def phrase_matcher(self) -> Any:
        """The finder of the encoder's phrases, None where it has none."""
        return getattr(self._encoder, "phrase_matcher", None)

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text, over the index's vocabulary."""
        batch = self._encoder.encode_queries(texts)
        rows = np.repeat(np.arange(len(batch)), np.diff(batch.indptr))
        terms = self._term_map(batch.term_ids.astype(np.int64))
        order = np.lexsort((terms, rows))
        order = order[terms[order] != ABSENT]
        indptr = np.searchsorted(rows[order], np.arange(len(batch) + 1)).astype(np.int64)
        return SparseBatch(indptr, terms[order].astype(np.int32), batch.weights[order], self._vocab_size)
