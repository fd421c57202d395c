"""A run as a whole: what is measured, kept, logged, drawn; joint encoders; several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.base import model_of
from lsr.encoders.pretrained.load_encoder import start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_encoder
from lsr.errors import UsageError
from lsr.training.config.config import make_config
from lsr.training.config.steps import EvalSettings
from lsr.training.config.toml_values import with_overrides
from lsr.training.evaluation import EvaluationResult, Evaluator
from lsr.training.run_folder.checkpoints import finished_checkpoints
from lsr.training.run_folder.log import read_log
from lsr.training.train import train


def config_of(model: Path, *changes: str) -> Any:
    values = {
        "encoder": {"start": str(model), "family": "inference-free", "dropout": 0.0},
        "data": {"negatives": 1},
        "loss": {"infonce": {}},
        "sparsity": {"documents": {"target": 8.0}},
        "train": {"steps": 12, "batch_size": 8, "learning_rate": 1e-3, "log_every": 2},
    }
    return make_config(with_overrides(values, changes))


def test_the_best_model_is_kept_and_the_run_ends_early(
    tmp_path: Path, random_model: Path, toy: Any, toy_beir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: Iterator[float] = iter([0.5, 0.9, 0.8, 0.7, 1.0])

    def measured(self: Evaluator, encoder: Any) -> EvaluationResult:
        value = next(values)
        return EvaluationResult({"toy": value}, value, 3.0)

    monkeypatch.setattr(Evaluator, "__call__", measured)
    config = config_of(random_model, f"eval.datasets=['{toy_beir}']", "eval.every=2", "eval.patience=2", "train.keep=1")
    result = train(config, tmp_path / "run", examples=toy.examples())
    assert (result.record["steps"], result.record["model_of_step"]) == (8, 4)
    assert result.record["metrics"] == {"step": 4, "nDCG@10 toy": 0.9, "nDCG@10": 0.9}
    assert [checkpoint.step for checkpoint in finished_checkpoints(tmp_path / "run" / "checkpoints")] == [4, 8]
    kept = (tmp_path / "run" / "checkpoints" / "checkpoint-4" / "model").rglob("*.safetensors")
    for path in kept:
        other = result.model / path.relative_to(tmp_path / "run" / "checkpoints" / "checkpoint-4" / "model")
        assert other.read_bytes() == path.read_bytes()
    rows = read_log(tmp_path / "run" / "log.csv")
    assert [row["step"] for row in rows] == [1, 2, 4, 6, 8]
    assert [row.get("nDCG@10") for row in rows] == [None, 0.5, 0.9, 0.8, 0.7]
    assert all(row["lambda_documents"] > 0 and row["document_terms"] > 0 for row in rows)
    assert (tmp_path / "run" / "training.png").read_bytes().startswith(b"\x89PNG")
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert b"document_terms" in events.read_bytes() and b"nDCG@10" in events.read_bytes()


def test_what_is_measured_on_the_way_is_what_lsr_eval_measures(
    tmp_path: Path, random_model: Path, toy: Any, toy_beir: Path
) -> None:
    from lsr.eval.data.datasets import load_dataset
    from lsr.eval.harness import Options, evaluate_system
    from lsr.eval.reports.provenance import provenance
    from lsr.eval.systems.encoder_system import EncoderSystem

    result = train(config_of(random_model, "train.steps=2"), tmp_path / "run", examples=toy.examples())
    found = Evaluator(EvalSettings((str(toy_beir),)), seed=0)(load_encoder(result.model))
    dataset = load_dataset(toy_beir)
    system = EncoderSystem(str(result.model), cache=tmp_path / "cache")
    wanted, _ = evaluate_system(system, dataset, dataset.summary(), Options(k=100), provenance("test"))
    assert found.mean == found.values["toy"] == wanted.measures["nDCG@10"]
    assert wanted.efficiency is not None and found.document_terms == wanted.efficiency.document_terms


def test_a_sample_of_a_collection_holds_all_that_is_judged(random_model: Path, toy_beir: Path) -> None:
    evaluator = Evaluator(EvalSettings((str(toy_beir),), max_documents=5), seed=0)
    ((dataset, kept),) = evaluator._datasets
    assert kept is None, "all of the toy's documents are judged"
    assert {doc_id for judged in dataset.qrels.values() for doc_id in judged} == {f"d{i}" for i in range(32)}


class DenseTeacher:
    """Vectors of the key words, as a cache of a dense teacher would give them."""

    name = "dense:keys"

    def vectors(self, texts: list[str]) -> Any:
        rng = np.random.default_rng(0)
        table = {f"key{i:02d}": rng.normal(size=8) for i in range(32)}
        sums = np.array([sum((table[w] for w in text.split() if w in table), np.zeros(8)) for text in texts])
        return (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)

    def query_vectors(self, queries: Any) -> Any:
        return self.vectors(list(queries))

    def document_vectors(self, documents: Any) -> Any:
        return self.vectors([document.text for document in documents])


def test_a_joint_encoders_dense_head_learns_a_teachers_vectors(tmp_path: Path, random_model: Path, toy: Any) -> None:
    config = config_of(
        random_model, "encoder.family=splade", "encoder.dense={dimension=8}", "loss.regression.weight=1.0",
        'teacher=[{name="dense:keys"}]', "train.steps=60", "train.learning_rate=5e-3", "train.log_every=20",
    )  # fmt: skip
    result = train(config, tmp_path / "run", examples=toy.examples(), teachers=lambda _: DenseTeacher())
    losses = [row["regression"] for row in read_log(tmp_path / "run" / "log.csv")]
    assert losses[-1] < 0.5 * losses[0]
    encoder: Any = load_encoder(result.model)
    found = encoder.encode_dense_documents(toy.documents)
    wanted = DenseTeacher().document_vectors(toy.documents)
    assert (found * wanted).sum(1).mean() > 0.7


def test_a_second_training_goes_on_where_the_first_ended(tmp_path: Path, random_model: Path, toy: Any) -> None:
    first = config_of(
        random_model, "encoder.family=inference-free", "encoder.learn_query_table=true", "encoder.dense={}",
        "train.steps=4", "train.table_learning_rate=0.1",
    )  # fmt: skip
    begun = train(first, tmp_path / "first", examples=toy.examples()).model
    second = config_of(
        begun, "encoder.family=saved", "encoder.learn_query_table=true", "train.steps=1", "train.learning_rate=1e-9",
    )  # fmt: skip
    went_on: Any = load_encoder(train(second, tmp_path / "second", examples=toy.examples()).model)
    former: Any = load_encoder(begun)
    assert set(former.query.weights) > {0.0, 1.0}
    np.testing.assert_allclose(went_on.query.weights, former.query.weights, atol=1e-6)
    texts = toy.documents[:4]
    for one, other in zip(went_on.encode_documents(texts), former.encode_documents(texts), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_allclose(one[1], other[1], atol=1e-4)
    np.testing.assert_allclose(went_on.encode_dense_documents(texts), former.encode_dense_documents(texts), atol=1e-4)


def test_an_encoder_that_goes_on_may_be_given_words(
    tmp_path: Path, random_model: Path, toy: Any, toy_beir: Path
) -> None:
    """Nothing that is trained depends on them, but they are saved, and count in every evaluation."""
    save_encoder(start_encoder("inference-free", random_model), tmp_path / "saved")
    config = config_of(
        tmp_path / "saved", "encoder.family=saved", "encoder.words={weight=3.0}", "encoder.rarity=0.5",
        "encoder.document={pruning={threshold=0.05}}", "train.steps=2", f"eval.datasets=['{toy_beir}']",
    )  # fmt: skip
    result = train(config, tmp_path / "run", examples=toy.examples())
    encoder: Any = load_encoder(result.model)
    config = model_of(encoder).config
    assert config.words.weight == 3.0 and config.rarity == 0.5
    assert config.document.pruning.threshold == 0.05
    assert len(encoder.terms) == len(model_of(encoder).terms)
    encoder.encode_documents(toy.documents[:1])
    assert len(encoder.terms) > len(model_of(encoder).terms)
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert record["evaluations"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("encoder.query_table='idf'", "encoder.query_table is set"),
        ("encoder.learn_query_table=true", "has no table"),
        ("encoder.document={head='mlp'}", "encoder.document.head is set"),
    ],
)
def test_an_encoder_that_goes_on_keeps_its_parts(
    tmp_path: Path, random_model: Path, toy: Any, override: str, said: str
) -> None:
    saved = start_encoder("splade", random_model)
    save_encoder(saved, tmp_path / "saved")
    with pytest.raises(UsageError, match=said):
        train(
            config_of(tmp_path / "saved", "encoder.family=saved", override), tmp_path / "run", examples=toy.examples()
        )


@pytest.mark.large
def test_two_processes_train_one_model(tmp_path: Path, random_model: Path, toy: Any, toy_beir: Path) -> None:
    rows = [{"query": e.query, "positive": e.documents[0].text} for e in toy.examples()]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "mine.toml").write_text(
        f'[encoder]\nstart = "{random_model}"\nfamily = "inference-free"\n[loss.infonce]\nweight = 1.0\n'
        "[sparsity.documents]\ntarget = 8\n[train]\nsteps = 6\nbatch_size = 8\nlog_every = 1\ndevice = 'cpu'\n"
        f'[eval]\ndatasets = ["{toy_beir}"]\nevery = 3\n'
        '[data]\nnegatives = 1\n[data.mining]\nfirst = "bm25"\nevery = 3\ndepth = 10\n'
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "lsr.cli.main", "train"]
    command = [*launch, "mine.toml", "--data", "data.jsonl", "--output", "run"]
    environment = os.environ | {"LSR_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert (record["n_processes"], record["steps"], len(record["evaluations"])) == (2, 6, 2)
    assert (tmp_path / "run" / "negatives" / "step-3-mined").is_dir()
    assert done.stderr.count("mining 1 negatives") == 2, "by one process only"
    load_encoder(tmp_path / "run" / "model")
