"""Batches of texts of like length under a budget of tokens, made smaller when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from lsr.encoders.dense.base import DenseVectors
from lsr.errors import EncoderError
from lsr.types import SparseBatch

_Rows = TypeVar("_Rows")

# Of the allocators of CUDA and of the CPU, and of CUDA's libraries, which allocate for themselves.
_SIGNS = ("out of memory", "can't allocate memory", "status_alloc_failed")


def plan(lengths: Sequence[int], *, max_tokens: int, max_texts: int) -> list[list[int]]:
    """Group texts by length, longest first, so that a padded group has at most `max_tokens` tokens.

    lengths: tokens of each text. Returns positions into it; a text longer than the budget gets a separate group.
    The longest come first so that memory that doesn't suffice shows at once.
    """
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if groups:
            group = groups[-1]
            if len(group) < max_texts and lengths[group[0]] * (len(group) + 1) <= max_tokens:
                group.append(i)
                continue
        groups.append([i])
    return groups


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that memory ran out, on whatever device."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS)


class Halving(Generic[_Rows]):
    """Encodes group after group; where memory runs out, halves the group and all that follow.

    release: called after each failure, to give back what the device still holds.
    """

    def __init__(self, encode: Callable[[list[int]], _Rows], release: Callable[[], None]) -> None:
        self._encode = encode
        self._release = release
        self._parts = 1

    def run(self, groups: Iterable[list[int]]) -> Iterator[tuple[list[int], _Rows]]:
        """Yield each group encoded, in order; a group may come in parts.

        Raises EncoderError if memory doesn't suffice for a single text.
        """
        for group in groups:
            size = -(-len(group) // self._parts)
            waiting = [group[i : i + size] for i in range(0, len(group), size)][::-1]
            while waiting:
                part = waiting.pop()
                batch = self._try(part)
                if batch is not None:
                    yield part, batch
                    continue
                if len(part) == 1:
                    raise EncoderError("memory doesn't suffice to encode a single text: lower max_length")
                self._parts *= 2
                self._release()
                half = len(part) // 2
                waiting += [part[half:], part[:half]]

    def _try(self, part: list[int]) -> _Rows | None:
        # Returns instead of raising, so that no traceback keeps the failed batch's memory alive.
        try:
            return self._encode(part)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None


def rows_in_order(parts: Sequence[tuple[Sequence[int], SparseBatch]], n_rows: int, vocab_size: int) -> SparseBatch:
    """Put rows that were encoded out of order into their places; rows of no part stay empty."""
    whole = SparseBatch.concatenate([batch for _, batch in parts])
    source = np.full(n_rows, -1, np.int64)
    source[[i for group, _ in parts for i in group]] = np.arange(len(whole))
    present = source >= 0
    lengths = np.zeros(n_rows, np.int64)
    lengths[present] = np.diff(whole.indptr)[source[present]]
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    taken = _positions(whole.indptr[:-1][source[present]], lengths[present])
    return SparseBatch(indptr, whole.term_ids[taken], whole.weights[taken], vocab_size)


def vectors_in_order(parts: Sequence[tuple[Sequence[int], DenseVectors]], n_rows: int, dimension: int) -> DenseVectors:
    """Put vectors that were encoded out of order into their places; rows of no part are zeros."""
    vectors = np.zeros((n_rows, dimension), np.float32)
    for group, rows in parts:
        vectors[list(group)] = rows
    return vectors


def _positions(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return starts[0], starts[0] + 1, … for `lengths[0]` places, then the same for the next."""
    ends = np.cumsum(lengths)
    positions: npt.NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(starts - (ends - lengths), lengths)
    return positions
