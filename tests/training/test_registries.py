"""A loss, a regulariser or a teacher is added by one module that registers it; a family by its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor

from lsr.encoders import families
from lsr.encoders.config import EncoderConfig, TowerConfig
from lsr.encoders.registry import load_encoder
from lsr.errors import UsageError
from lsr.training.config.config import make_config
from lsr.training.config.toml_values import with_overrides
from lsr.training.evaluators.base import EVALUATORS
from lsr.training.losses.base import LOSSES, SCORES, ScoredBatch, mean_where, register_loss
from lsr.training.registry import Registry
from lsr.training.regularisers.base import REGULARISERS, Regulariser, TermWeights, register_regulariser
from lsr.training.run_folder.log import read_log
from lsr.training.teachers.base import TEACHERS, TeacherRequest, register_teacher
from lsr.training.teachers.registry import open_teacher, teacher_names
from lsr.training.trackers.base import TRACKERS
from lsr.training.train import train

pytestmark = pytest.mark.usefixtures("without_plots")

Kind = TypeVar("Kind")


def config_of(model: Path, *changes: str) -> Any:
    values = {
        "encoder": {"start": str(model), "family": "inference-free", "dropout": 0.0},
        "data": {"negatives": 2},
        "loss": {"infonce": {}},
        "sparsity": {"documents": {"target": 8.0}},
        "train": {"steps": 3, "batch_size": 8, "learning_rate": 1e-3, "log_every": 1},
    }
    return make_config(with_overrides(values, list(changes)))


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget after each test what it registered."""
    for registry in (LOSSES, REGULARISERS, TEACHERS):
        registry.names()
        monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))  # type: ignore[attr-defined]


def test_a_new_loss_trains_with_its_options(tmp_path: Path, random_model: Path, toy: Any) -> None:
    @register_loss("squared-margin")
    def squared_margin(batch: ScoredBatch, *, margin: float = 1.0, candidates: str = "own") -> Tensor:
        """Return the mean of relu(margin − s⁺ + s⁻)²."""
        short = torch.relu(margin - batch.positive_scores + batch.scores)
        return mean_where(short**2, batch.negatives(candidates))

    config = config_of(random_model, "loss.squared-margin.margin=2.0")
    train(config, tmp_path / "run", examples=toy.examples())
    assert all(row["squared-margin"] > 0 for row in read_log(tmp_path / "run" / "log.csv"))
    with pytest.raises(UsageError, match=r"loss\.squared-margin\.scale is set, but it takes margin, candidates"):
        config_of(random_model, "loss.squared-margin.scale=2.0")


def test_a_new_loss_may_ask_teachers(tmp_path: Path, random_model: Path, toy: Any, key_teacher: Any) -> None:
    @register_loss("mse", teacher=SCORES)
    def mse(batch: ScoredBatch, *, candidates: str = "own") -> Tensor:
        """Return the mean squared distance of the student's scores from the teachers'."""
        assert batch.teacher is not None
        mask = batch.candidates(candidates) & ~batch.teacher.isnan()
        return mean_where((batch.scores - batch.teacher.nan_to_num()) ** 2, mask)

    with pytest.raises(UsageError, match=r"loss\.mse needs a \[\[teacher\]\]"):
        config_of(random_model, "loss.mse.weight=0.1")
    config = config_of(random_model, "loss.mse.weight=0.1", 'teacher=[{name="keys"}]')
    train(config, tmp_path / "run", examples=toy.examples(), teachers=key_teacher)
    assert all(row["mse"] > 0 for row in read_log(tmp_path / "run" / "log.csv"))


def test_a_new_regulariser_trains_with_its_options(tmp_path: Path, random_model: Path, toy: Any) -> None:
    @register_regulariser("power")
    class Power(Regulariser):
        def __init__(self, vocab_size: int, *, exponent: float = 2.0) -> None:
            super().__init__(vocab_size)
            self._exponent = exponent

        def __call__(self, texts: TermWeights) -> Tensor:
            return texts.sum_over_terms(texts.weights**self._exponent).mean()

    side = "sparsity.documents={regulariser='power', target=8.0, options={exponent=1.5}}"
    train(config_of(random_model, side), tmp_path / "run", examples=toy.examples())
    assert all(row["power_documents"] > 0 for row in read_log(tmp_path / "run" / "log.csv"))
    with pytest.raises(UsageError, match=r"'power'\.alpha is set, but it takes exponent"):
        config_of(random_model, "sparsity.documents={regulariser='power', target=8.0, options={alpha=1.5}}")
    with pytest.raises(UsageError, match=r"'flops'\.threshold is set, but it takes no option"):
        config_of(random_model, "sparsity.documents.threshold=9.0")


def test_a_new_teacher_is_opened_by_its_name(tmp_path: Path, random_model: Path, toy: Any) -> None:
    class ByLength:
        name = "length"

        def __init__(self, factor: float) -> None:
            self._factor = factor

        def scores(self, queries: Any, documents: Any, wanted: Any = None) -> Any:
            del wanted
            lengths = [self._factor * len(document.text) for document in documents]
            return np.tile(np.array(lengths, np.float32), (len(queries), 1))

        def prepare(self, examples: Any, advance: Any = None) -> int:
            return 0

    @register_teacher("length")
    def open_length(request: TeacherRequest, *, factor: float = 1.0) -> Any:
        return ByLength(factor)

    assert "length" in teacher_names()
    with pytest.raises(UsageError, match="no teacher 'length:model'"):
        open_teacher("length:model")
    with pytest.raises(UsageError, match="teacher length: got an unexpected keyword argument 'depth'"):
        open_teacher("length", depth=3)
    config = config_of(random_model, "loss.kl.weight=1", 'teacher=[{name="length", options={factor=0.1}}]')
    train(config, tmp_path / "run", examples=toy.examples())
    assert all(row["kl"] > 0 for row in read_log(tmp_path / "run" / "log.csv"))


def test_a_new_family_trains_and_loads(
    tmp_path: Path, random_model: Path, toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EncoderConfig("splade-doc-l0", TowerConfig(activation="log1p(log1p(relu))"), "binary")
    family = families.Family(config, "by the model", "nobody yet")
    monkeypatch.setattr(families, "FAMILIES", {**families.FAMILIES, "splade-doc-l0": family})
    result = train(config_of(random_model, "encoder.family=splade-doc-l0"), tmp_path / "run", examples=toy.examples())
    assert load_encoder(result.model).encode_documents(toy.documents).nnz > 0


def test_a_name_is_registered_once_and_an_unknown_one_lists_the_known() -> None:
    registry: Registry[int] = Registry("number", "lsr.training.sparsity")
    registry.add("two", 2)
    registry.add("one", 1)
    with pytest.raises(ValueError, match="number 'two' is registered already"):
        registry.add("two", 3)
    assert (registry["two"], registry.get("three"), "one" in registry) == (2, None, True)
    with pytest.raises(UsageError, match="no number 'three': there are one, two"):
        registry["three"]


def test_every_module_of_a_package_registers_its_own() -> None:
    assert LOSSES.names() == ("ensemble", "infonce", "kl", "margin", "margin_mse", "overlap", "regression")
    assert REGULARISERS.names() == ("df-flops", "flops", "idf-flops", "l0-mask", "l1", "term-budget")
    assert EVALUATORS.names() == ("reranking", "triplets")
    assert TRACKERS.names() == ("mlflow", "tensorboard", "trackio", "wandb")
    assert teacher_names() == ["bm25", "cross-encoder:MODEL", "dense:MODEL", "file", "index:MODEL", "sparse:MODEL"]
