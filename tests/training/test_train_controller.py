"""The controller finds a weight for its target, whatever the plant is like, and the guards end what has gone wrong."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lsr.training.config.sparsity import CollapseSettings, SparsitySettings
from lsr.training.sparsity.controller import FIRST_SHARE, SparsityController
from lsr.training.stop_conditions import EMPTY_PATIENCE, CollapseGuard, TrainingError, check_numbers


def steered(*, gain: float, delay: float, scale: float, noise: float, target: float, steps: int) -> list[float]:
    """Return the active terms of a plant that answers to log λ by `gain`, with a first-order delay in steps."""
    controller = SparsityController(target, horizon=max(10.0, steps / 20), ramp=steps // 3)
    start = math.log(3000.0)
    level, seen = start, []
    controller.begin(2.0, 2.0 / scale, math.exp(start))
    for step in range(steps):
        rest = start - gain * (math.log1p(controller.weight * 100 / scale))
        level += (rest - level) / delay
        seen.append(math.exp(level + noise * math.sin(2.7 * step)))
        controller.update(seen[-1])
    return seen


@pytest.mark.parametrize("gain", [0.5, 1.0])
@pytest.mark.parametrize("delay", [1.0, 20.0, 60.0])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_it_lands_within_a_tenth_of_its_target(gain: float, delay: float, scale: float) -> None:
    seen = steered(gain=gain, delay=delay, scale=scale, noise=0.2, target=150, steps=2000)
    tail = seen[-200:]
    assert sum(tail) / len(tail) == pytest.approx(150, rel=0.1)
    assert min(seen) > 30, "and doesn't overshoot into collapse on the way"


def test_the_first_weight_is_a_share_of_the_ranking_loss() -> None:
    controller = SparsityController(100, 50, 0)
    assert controller.weight == 0 and not controller.has_begun
    controller.begin(4.0, 200.0, 1000)
    assert controller.weight * 200 == pytest.approx(FIRST_SHARE * 4)
    controller.begin(4.0, 200.0, 1000, 0.3)
    assert controller.weight == pytest.approx(0.3)


def test_what_is_wanted_falls_from_the_first_number_to_the_target() -> None:
    controller = SparsityController(100, 50, 4)
    controller.begin(1, 1, 1600)
    wanted = []
    for _ in range(6):
        wanted.append(controller.wanted)
        controller.update(controller.wanted)
    assert wanted == pytest.approx([1600, 800, 400, 200, 100, 100])


def test_it_goes_on_exactly_where_it_was() -> None:
    one, other = SparsityController(100, 50, 10), SparsityController(100, 50, 10)
    one.begin(1, 3, 700)
    for step in range(7):
        one.update(500 - 31.7 * step)
    other.load(one.state())
    one.update(321.0)
    other.update(321.0)
    assert one.weight == other.weight and one.state() == other.state()


def test_numbers_that_are_none_end_a_training(tmp_path: Path) -> None:
    check_numbers(3, {"loss": 1.0}, tmp_path)
    with pytest.raises(TrainingError, match=r"step 3: kl is nan.*lower train\.learning_rate"):
        check_numbers(3, {"loss": 1.0, "kl": math.nan}, tmp_path)


def test_collapse_to_nothing_ends_a_training_after_some_steps() -> None:
    guard = CollapseGuard(SparsitySettings(collapse=CollapseSettings()))
    for step in range(EMPTY_PATIENCE - 1):
        guard.check(step, {"documents": 0.1, "queries": 9})
    guard.check(99, {"documents": 5, "queries": 9})  # they came back
    for step in range(EMPTY_PATIENCE - 1):
        guard.check(step, {"documents": 0.1, "queries": 9})
    with pytest.raises(TrainingError, match=r"documents have 0\.10 active terms, below sparsity\.min_terms 0\.5"):
        guard.check(20, {"documents": 0.1, "queries": 9})


def test_collapse_to_thousands_ends_a_training_after_its_patience() -> None:
    guard = CollapseGuard(SparsitySettings(max_terms=1000, patience=3))
    again = CollapseGuard(guard.settings)
    guard.check(1, {"queries": 1001})
    again.load(guard.state())
    again.check(2, {"queries": 1001})
    with pytest.raises(TrainingError, match=r"queries have 1,001 active terms, above sparsity\.max_terms 1000 for 3"):
        again.check(3, {"queries": 1001})
