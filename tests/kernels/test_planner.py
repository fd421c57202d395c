"""The planner prunes where that saves work, the sooner the more is known, and scores everything where it doesn't."""

from __future__ import annotations

import pytest

from lsr.kernels.traversals.names import BLOCKMAX, EXHAUSTIVE, TRAVERSALS
from lsr.kernels.traversals.planner import MOST_RARE, cheapest, most_superblocks


def test_large_segments_are_pruned_and_a_first_small_one_is_not() -> None:
    assert TRAVERSALS[cheapest(1500, 0, 24, 8, 6_000, 10)] == "blockmax"
    assert TRAVERSALS[cheapest(8, 0, 24, 8, 30, 10)] == "exhaustive"


@pytest.mark.parametrize(
    ("n_superblocks", "k", "traversal"),
    [
        (2800, 10, "blockmax"),
        (3200, 10, "superblock"),
        (5000, 100, "blockmax"),
        (9000, 100, "superblock"),
        (9000, 1000, "blockmax"),
        (15_000, 1000, "superblock"),
    ],
)
def test_very_large_segments_are_bounded_in_two_levels(n_superblocks: int, k: int, traversal: str) -> None:
    assert TRAVERSALS[cheapest(n_superblocks, 0, 24, 8, 50_000, k)] == traversal


def test_what_other_segments_left_counts_towards_two_levels_but_a_small_one_has_one() -> None:
    assert TRAVERSALS[cheapest(2_000, 0, 24, 8, 7_000, 100)] == "blockmax"
    assert TRAVERSALS[cheapest(2_000, 16_000, 24, 8, 7_000, 100)] == "superblock"
    assert TRAVERSALS[cheapest(900, 32_000, 24, 8, 3_000, 100)] == "blockmax"


def test_the_more_results_the_later_two_levels_pay() -> None:
    assert [TRAVERSALS[cheapest(4_000, 0, 24, 8, 15_000, k)] for k in (10, 1000)] == ["superblock", "blockmax"]


def test_a_small_segment_is_pruned_by_the_threshold_of_one_before() -> None:
    assert cheapest(16, 0, 20, 5, 50, 10) == EXHAUSTIVE
    assert cheapest(16, 4700, 20, 5, 50, 10) == BLOCKMAX


@pytest.mark.parametrize("n_before", [0, 1, 100_000])
def test_many_rare_terms_are_scored_in_order(n_before: int) -> None:
    assert cheapest(10_000, n_before, MOST_RARE + 30, MOST_RARE + 1, 1000, 10) == EXHAUSTIVE


def test_segments_without_superblocks_are_not_divided_by() -> None:
    assert cheapest(0, 0, 3, 3, 0, 10) == EXHAUSTIVE


def test_a_share_of_the_superblocks_is_visited_one_by_one() -> None:
    assert most_superblocks(0) == 0
    assert most_superblocks(1000) == 400
