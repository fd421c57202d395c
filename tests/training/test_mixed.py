"""Several data sets in one training, each with its losses; evaluations of other kinds; trackers; the model's card."""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from lsr.errors import LsrError, UsageError
from lsr.training.config.config import make_config
from lsr.training.config.toml_values import with_overrides
from lsr.training.data.mixed_batches import MixedSampler
from lsr.training.losses.base import ScoredBatch
from lsr.training.losses.distillation import kl
from lsr.training.run_folder.log import read_log
from lsr.training.trackers.base import TrackedRun, open_trackers
from lsr.training.train import train

pytestmark = pytest.mark.usefixtures("without_plots")


def test_batches_are_of_one_set_and_drawn_by_weight() -> None:
    sources = [0] * 40 + [1] * 12 + [2] * 5
    sampler = MixedSampler(sources, [1, 6, 1], batch_size=4, seed=3)
    assert len(sampler) == (10 + 3 + 1) * 4
    drawn: Counter[int] = Counter()
    for epoch in range(30):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert len(order) == len(sampler) and order == list(sampler)
        for first in range(0, len(order), 4):
            (source,) = {sources[i] for i in order[first : first + 4]}
            assert len(set(order[first : first + 4])) == 4
            drawn[source] += 1
    assert [round(8 * drawn[i] / drawn.total()) for i in range(3)] == [1, 6, 1]
    sampler.set_epoch(0)
    assert list(islice(sampler, 8)) != [*range(8)]


@pytest.fixture(scope="module")
def files(toy: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the toy's examples as pairs, as scored lists, and as triplets of its test queries."""
    folder = tmp_path_factory.mktemp("sets")
    examples = toy.examples(scored=True)
    rows: dict[str, list[dict[str, Any]]] = {"pairs": [], "scored": [], "triplets": []}
    for one in examples[:96]:
        rows["pairs"].append({"query": one.query, "positive": one.documents[0].text})
    for one in examples[96:]:
        documents = [document.text for document in one.documents]
        rows["scored"].append({"query": one.query, "documents": documents, "scores": one.scores})
    for query, number in toy.testing:
        texts = [toy.documents[i % 32].text for i in (number, number + 5, number + 9)]
        rows["triplets"].append({"query": query, "positive": texts[0], "negatives": texts[1:]})
    found = {}
    for name, values in rows.items():
        found[name] = folder / f"{name}.jsonl"
        found[name].write_text("".join(json.dumps(value) + "\n" for value in values))
    return found


def config_of(model: Path, files: dict[str, Path], *changes: str) -> Any:
    values = {
        "name": "mixed",
        "encoder": {"start": str(model), "family": "inference-free", "dropout": 0.0},
        "data": {
            "negatives": 2,
            "sets": [
                {"name": "pairs", "files": [str(files["pairs"])], "losses": ["infonce"], "weight": 2},
                {"name": "scored", "files": [str(files["scored"])], "losses": ["kl"]},
            ],
        },
        "loss": {"infonce": {}, "kl": {"temperature": 2.0, "temperature_squared": True}},
        "teacher": [{"name": "file"}],
        "sparsity": {"documents": {"weight": 1e-3}},
        "eval": {
            "tasks": [
                {"kind": "triplets", "files": [str(files["triplets"])]},
                {"kind": "reranking", "files": [str(files["triplets"])], "measure": "nDCG@10", "name": "order"},
            ]
        },
        "train": {"steps": 6, "batch_size": 8, "learning_rate": 1e-3, "log_every": 1},
    }
    return make_config(with_overrides(values, list(changes)))


class Recorder(ModuleType):
    """Stand-in for wandb and trackio."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.begun: dict[str, Any] = {}
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.ended = 0

    def init(self, **options: Any) -> Any:
        self.begun = options
        return self

    def log(self, values: dict[str, float], step: int) -> None:
        self.rows.append((step, values))

    def finish(self) -> None:
        self.ended += 1


def test_a_training_of_two_sets(
    random_model: Path,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logged: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder("wandb")
    monkeypatch.setitem(sys.modules, "wandb", recorder)
    config = config_of(random_model, files, "train.trackers=['wandb']", "train.checkpoint_every=3")
    result = train(config, tmp_path / "run")
    assert "data set pairs: 96 examples, 67 % of the batches" in logged.messages
    rows = [row for row in read_log(tmp_path / "run" / "log.csv") if "loss" in row]
    # Each step has the loss of its own set alone, and its mean is not watered by the other's steps.
    kinds = [("infonce" in row, "kl" in row) for row in rows]
    assert set(kinds) <= {(True, False), (False, True)} and len(set(kinds)) == 2
    assert all(row.get("infonce", row.get("kl", 0)) > 0 for row in rows)
    metrics = result.record["metrics"]
    assert 0 <= metrics["nDCG@10 triplets triplets"] <= 1 and 0 < metrics["nDCG@10 order"] <= 1
    assert recorder.begun["name"] == "mixed" and recorder.ended == 1
    assert [step for step, _ in recorder.rows][:3] == [1, 2, 3] and "loss" in recorder.rows[0][1]
    card = (result.model / "README.md").read_text()
    assert card.startswith("---\ntags:\n- sparse-encoder\n") and "arXiv:2411.04403" in card
    assert "- Losses: infonce (1), kl (1)" in card and "| nDCG@10 order |" in card
    assert str(tmp_path) not in card and str(random_model.parent) not in card


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.files=pairs.jsonl"], r"data\.files and data\.sets exclude each other"),
        (["data.mining={first='bm25'}"], r"data\.mining and data\.sets exclude each other: mine before"),
        (["data.sets=[{files=[], losses=['infonce']}]"], "names no file"),
        (["data.sets=[{files=['a.jsonl'], losses=['margin']}]"], r"data\.sets\.….losses is 'margin'"),
        (["data.sets=[{files=['a.jsonl'], weight=0}]"], r"data\.sets\.….weight is 0"),
        (["eval.tasks=[{kind='triples', files=['a']}]"], r"eval\.tasks\.….kind is 'triples', but has to be one of"),
        (["eval.tasks=[{kind='triplets', files=['a'], measure='MRR@10'}]"], "has one measure alone"),
        (["eval.tasks=[{kind='triplets', files=['a']}, {kind='triplets', files=['a']}]"], "two eval.tasks are called"),
        (["train.trackers=['paper']"], r"train\.trackers is 'paper', but has to be one of mlflow, tensorboard"),
        (["loss.infonce.temperature_squared=true"], "temperature_squared is set, but it takes"),
    ],
)
def test_settings_that_do_not_fit(changes: list[str], message: str, files: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match=message):
        config_of(Path("model"), files, *changes)


def test_a_set_smaller_than_a_batch_is_refused(random_model: Path, files: dict[str, Path], tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(files["pairs"].read_text().splitlines(keepends=True)[:3]))
    config = config_of(random_model, {**files, "pairs": few})
    with pytest.raises(UsageError, match="'pairs' has 3 examples, but a batch of one set takes 8"):
        train(config, tmp_path / "run")


def test_a_task_without_negatives_is_refused(random_model: Path, files: dict[str, Path], tmp_path: Path) -> None:
    config = config_of(random_model, files, f"eval.tasks=[{{kind='triplets', files=['{files['pairs']}']}}]")
    with pytest.raises(LsrError, match="has a negative: triplets need some"):
        train(config, tmp_path / "run")


def test_trackers_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrackedRun("mine", tmp_path, {"train": {"steps": 3}})
    trackio = Recorder("trackio")
    monkeypatch.setitem(sys.modules, "trackio", trackio)
    mlflow = Recorder("mlflow")
    params: dict[str, str] = {}
    for name, value in {
        "set_experiment": lambda name: None,
        "start_run": lambda run_name: None,
        "log_params": params.update,
        "log_metrics": mlflow.log,
        "end_run": mlflow.finish,
    }.items():
        setattr(mlflow, name, value)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    for tracker in open_trackers(["trackio", "mlflow"], run):
        tracker.add(4, {"nDCG@10": 0.5})
        tracker.close()
    assert trackio.rows == [(4, {"nDCG@10": 0.5})] and mlflow.rows == [(4, {"nDCG_at_10": 0.5})]
    assert params == {"train.steps": "3"} and (trackio.ended, mlflow.ended) == (1, 1)


def test_a_tracker_that_is_missing_or_broken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrackedRun("mine", tmp_path, {})
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(LsrError, match="names 'trackio', which isn't installed: pip install trackio"):
        open_trackers(["trackio"], run)
    broken = Recorder("wandb")
    broken.init = lambda **options: 1 / 0  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "wandb", broken)
    with pytest.raises(LsrError, match="wandb can't begin: division by zero"):
        open_trackers(["wandb"], run)


def test_a_squared_temperature_keeps_the_size_of_the_gradient() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4, 6, requires_grad=True)
    own = torch.ones(4, 6, dtype=torch.bool)
    batch = ScoredBatch(scores, torch.zeros(4, dtype=torch.int64), own, ~own, torch.randn(4, 6))
    plain, squared = (kl(batch, temperature=3.0, temperature_squared=on) for on in (False, True))
    torch.testing.assert_close(squared, 9 * plain)


def test_lists_of_what_a_config_names(capfd: pytest.CaptureFixture[str]) -> None:
    from lsr.cli.main import main

    assert main(["train", "--list"]) == 0
    out = capfd.readouterr().out
    for name in ("infonce", "df-flops", "triplets", "reranking", "mlflow", "cross-encoder"):
        assert name in out
