"""Texts of like length together, so that little is computed for padding."""

from __future__ import annotations

from collections.abc import Sequence

MAX_GROUPS = 4
OVERHEAD_TOKENS = 96
"""What one more pass through a transformer costs, as tokens."""


def length_groups(lengths: Sequence[int], largest: int, *, on_cpu: bool) -> list[list[int]]:
    """Return positions of texts, in groups that are to be encoded one after the other, longest first.

    lengths: tokens of each text. largest: texts of a group at most; 0: any number, and then as many groups as save
    more padding than they cost: on a CPU, where time goes with tokens; elsewhere one.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    if largest:
        return [order[i : i + largest] for i in range(0, len(order), largest)]
    if not on_cpu:
        return [list(range(len(lengths)))]
    best = min((_cut(order, lengths, n) for n in range(1, MAX_GROUPS + 1)), key=lambda cut: _cost(cut, lengths))
    return best if len(best) > 1 else [list(range(len(lengths)))]


def _cut(order: Sequence[int], lengths: Sequence[int], n_groups: int) -> list[list[int]]:
    """Cut texts, longest first, where the length falls below even steps between the longest and nothing."""
    longest = lengths[order[0]]
    groups: list[list[int]] = [[] for _ in range(n_groups)]
    for i in order:
        groups[min(n_groups - 1, (longest - lengths[i]) * n_groups // max(1, longest))].append(i)
    return [group for group in groups if group]


def _cost(groups: Sequence[Sequence[int]], lengths: Sequence[int]) -> int:
    return sum(len(group) * lengths[group[0]] + OVERHEAD_TOKENS for group in groups)
