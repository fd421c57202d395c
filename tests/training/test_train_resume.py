"""A training that was interrupted and resumed is the one that was not: bit for bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from lsr.training.callbacks import graceful_stop
from lsr.training.config.config import make_config
from lsr.training.run_folder.checkpoints import finished_checkpoints
from lsr.training.run_folder.log import read_log
from lsr.training.train import TrainingInterruptedError, train

pytestmark = pytest.mark.usefixtures("without_plots")


def config_of(model: Path, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "encoder": {"start": str(model), "family": "inference-free", "learn_query_table": True, "dropout": 0.1},
        "data": {"negatives": 1},
        "loss": {"infonce": {"weight": 0.5}, "ensemble": {"weight": 0.5}},
        "teacher": [{"name": "keys"}],
        "sparsity": {"documents": {"regulariser": "df-flops", "target": 8.0}, "sampled_terms": 30},
        "train": {"steps": 24, "batch_size": 16, "accumulate": 2, "learning_rate": 3e-3, "warmup": 4, "log_every": 4,
                  "checkpoint_every": 5},
    }  # fmt: skip
    for key, change in changes.items():
        values[key] = {**values.get(key, {}), **change}
    return make_config(values)


def weights_of(model: Path) -> dict[str, Any]:
    return {
        f"{path.parent.name}/{name}": value
        for path in model.rglob("*.safetensors")
        for name, value in load_file(path).items()
    }


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)


class Stopping:
    """Examples that send a signal when so many have been read by a training that heeds it."""

    def __init__(self, examples: list[Any], after: int, number: int) -> None:
        self._examples, self._left, self._number = examples, after, number
        self._before = signal.getsignal(number)

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, i: int) -> Any:
        self._left -= signal.getsignal(self._number) is not self._before
        if self._left == 0:
            os.kill(os.getpid(), self._number)
        return self._examples[i]


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, random_model: Path, toy: Any, key_teacher: Callable[[Any], Any]
) -> Path:
    output = tmp_path_factory.mktemp("uninterrupted")
    train(config_of(random_model), output / "run", examples=toy.examples(), teachers=key_teacher)
    return output / "run"


@pytest.mark.parametrize(("number", "after"), [(signal.SIGINT, 40), (signal.SIGTERM, 150)])
def test_a_signal_saves_a_checkpoint_and_the_resumed_run_equals_the_uninterrupted(
    number: int, after: int, uninterrupted: Path, tmp_path: Path, random_model: Path, toy: Any, key_teacher: Any
) -> None:
    config, output = config_of(random_model), tmp_path / "run"
    with pytest.raises(TrainingInterruptedError, match=r"checkpoint saved; resume with: lsr train --resume --output"):
        train(config, output, examples=Stopping(toy.examples(), after, number), teachers=key_teacher)
    (*_, last) = finished_checkpoints(output / "checkpoints")
    assert 0 < last.step < 24
    train(config, output, resume=True, examples=toy.examples(), teachers=key_teacher)
    assert_same_weights(output / "model", uninterrupted / "model")
    timed = ("seconds", "examples_per_s")
    first, second = (
        [{name: value for name, value in row.items() if name not in timed} for row in read_log(folder / "log.csv")]
        for folder in (output, uninterrupted)
    )
    assert first == second


def test_a_checkpoint_that_a_kill_left_half_written_is_not_used(
    uninterrupted: Path, tmp_path: Path, random_model: Path, toy: Any, key_teacher: Any,
    logged: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    config, output = config_of(random_model), tmp_path / "run"
    with pytest.raises(TrainingInterruptedError):
        train(config, output, examples=Stopping(toy.examples(), 200, signal.SIGINT), teachers=key_teacher)
    (before, last) = finished_checkpoints(output / "checkpoints")
    (last.folder / "state.json").unlink()
    (last.folder / "optimizer.pt").write_bytes(b"half")
    logged.clear()
    train(config, output, resume=True, examples=toy.examples(), teachers=key_teacher)
    assert logged.messages[0] == f"resuming from step {before.step} of 24"
    assert_same_weights(output / "model", uninterrupted / "model")


def test_a_second_signal_stops_at_once_and_afterwards_signals_belong_to_their_owner(
    logged: pytest.LogCaptureFixture,
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with graceful_stop() as request:
        assert not request
        os.kill(os.getpid(), signal.SIGTERM)
        assert request and logged.messages == [
            "SIGTERM: saving a checkpoint after this step; a second signal stops at once"
        ]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
