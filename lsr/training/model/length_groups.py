"""Groups of texts of similar length, which need little padding."""

from __future__ import annotations

from collections.abc import Sequence

MAX_GROUPS = 4
OVERHEAD_TOKENS = 96
"""Cost of one more pass through a transformer, in tokens."""


def length_groups(lengths: Sequence[int], largest: int, *, on_cpu: bool) -> list[list[int]]:
    """Return positions of texts in groups to encode one after the other, longest first.

    lengths: tokens of each text. largest: most texts of a group; 0: any number, and then on a CPU, where time grows
    with tokens, as many groups as save more padding than they cost, elsewhere one.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    if largest:
        return [order[i : i + largest] for i in range(0, len(order), largest)]
    if not on_cpu:
        return [list(range(len(lengths)))]
    best = min((_cut(order, lengths, n) for n in range(1, MAX_GROUPS + 1)), key=lambda cut: _cost(cut, lengths))
    return best if len(best) > 1 else [list(range(len(lengths)))]


def _cut(order: Sequence[int], lengths: Sequence[int], n_groups: int) -> list[list[int]]:
    """Divide texts, longest first, at even steps of length between the longest and 0."""
    longest = lengths[order[0]]
    groups: list[list[int]] = [[] for _ in range(n_groups)]
    for i in order:
        groups[min(n_groups - 1, (longest - lengths[i]) * n_groups // max(1, longest))].append(i)
    return [group for group in groups if group]


def _cost(groups: Sequence[Sequence[int]], lengths: Sequence[int]) -> int:
    return sum(len(group) * lengths[group[0]] + OVERHEAD_TOKENS for group in groups)
