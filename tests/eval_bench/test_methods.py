"""The tables of methods and of sparse codes, over a toy collection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.encoders.converted.fit_codes import FittingSettings
from lsr.errors import LsrError, UsageError
from lsr.eval.bench.methods.binary import main as time_binary
from lsr.eval.bench.methods.binary import make_sides
from lsr.eval.bench.methods.codes import COLUMNS as CODES_COLUMNS
from lsr.eval.bench.methods.codes import curve, full, measured
from lsr.eval.bench.methods.table import COLUMNS, METHODS, NOT_MEASURED, Comparisons, main, rows
from lsr.eval.data.datasets import Dataset, load_dataset
from lsr.training.comparison.make import Materials, make_all, make_one
from lsr.training.comparison.trainings import TRAININGS, Budget, config_of
from lsr.training.recipes import recipes
from lsr.types import SparseBatch

TEXTS = ["a walker in the forest", "slow trains cross the mountains", "bread of rye and wheat", "rivers of ice"]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    folder = tmp_path / "toy"
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": f"d{i}", "title": "", "text": text} for i, text in enumerate(TEXTS)]
    queries = [{"_id": "q0", "text": "bakery"}, {"_id": "q1", "text": "trains"}]
    for name, values in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td2\t1\nq1\td1\t1\n")
    return load_dataset(folder)


def test_a_row_says_what_the_idea_changes(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "expansions").mkdir()
    (tmp_path / "expansions" / "toy.jsonl").write_text('{"id": "d2", "expansions": ["bakery"]}\n')
    found = list(rows(Comparisons(tmp_path), [dataset]))
    assert len(found) == len(METHODS) and all(len(row) == len(COLUMNS) for row in found)
    assert found[0][1:4] == ["toy", "1.0000", "0.5000"]
    assert {row[2] for row in found[1:]} == {NOT_MEASURED}


def test_what_was_measured_is_not_measured_again_unless_asked(dataset: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "expansions" / "toy.jsonl"
    file.parent.mkdir()
    file.write_text('{"id": "d2", "expansions": ["bakery"]}\n')
    comparisons, method = Comparisons(tmp_path), METHODS[0]
    first = comparisons.results(method, dataset)
    assert first is not None and [one.measures["nDCG@10"] for one in first] == [1.0, 0.5]
    file.write_text('{"id": "d0", "expansions": ["oven"]}\n')
    assert comparisons.results(method, dataset) == first
    again = comparisons.results(method, dataset, again=True)
    assert again is not None and [one.measures["nDCG@10"] for one in again] == [0.5, 0.5]
    assert len((tmp_path / "measured.jsonl").read_text().splitlines()) == 4
    (tmp_path / "measured.jsonl").write_text("no JSON\n")
    with pytest.raises(LsrError, match=r"measured\.jsonl, line 1: no JSON"):
        comparisons.results(method, dataset)


def test_every_method_but_expansion_has_a_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainings = {training.name for training in TRAININGS}
    assert {name for method in METHODS[1:] for name in (method.name, method.without)} == trainings
    assert {training.recipe for training in TRAININGS if training.recipe} <= {recipe.name for recipe in recipes()}
    with pytest.raises(SystemExit):
        main([str(tmp_path), "toy", "--method", "nothing"])
    assert "invalid choice" in capsys.readouterr().err


def test_a_curve_has_a_row_for_each_way(dataset: Dataset) -> None:
    rng = np.random.default_rng(0)
    vectors, queries = rng.normal(size=(4, 8)).astype(np.float32), rng.normal(size=(2, 8)).astype(np.float32)
    settings = [FittingSettings(n_codes=16, n_active=2, steps=1, nested=nested) for nested in (False, True)]
    found = list(curve(vectors, queries, ["d0", "d1", "d2", "d3"], dataset, settings))
    assert [row[3] for row in found] == ["top k", "pursuit", "nested", "nested, first quarter"]
    assert all(len(row) == len(CODES_COLUMNS) for row in found)
    aligned = np.eye(4, dtype=np.float32)
    assert measured(aligned, aligned[[2, 1]], ["d0", "d1", "d2", "d3"], dataset) == (1.0, 1.0)
    assert full(SparseBatch.from_rows([{1: 2.0}], 3)).tolist() == [[0.0, 2.0, 0.0]]


@pytest.mark.parametrize("training", [one for one in TRAININGS if one.recipe], ids=lambda one: one.name)
def test_a_training_has_the_budget_of_all(training: Any, tmp_path: Path) -> None:
    budget = Budget(steps=7, batch_size=3)
    config = config_of(
        training, budget, tmp_path / "pairs.parquet", start=tmp_path / "start", corpora=[tmp_path / "a"],
        titles=[tmp_path / "b"], more=["train.seed=5"],
    )  # fmt: skip
    assert (config.train.steps, config.train.batch_size, config.train.seed) == (7, 3, 5)
    assert config.data.files == (str(tmp_path / "pairs.parquet"),) and config.data.negatives == budget.negatives
    assert config.encoder.start == (str(tmp_path / "start") if training.needs_head else "all-MiniLM-L6-v2")
    assert (config.encoder.phrases is not None) == (training.name in ("casper", "dyvo", "sparc"))
    assert ("overlap" in config.loss) == (training.name == "denoising")


def test_a_model_with_other_settings_is_made_of_its_twin(dataset: Dataset, tmp_path: Path) -> None:
    (graded,) = (one for one in TRAININGS if one.same_as)
    materials = Materials(tmp_path / "pairs.parquet", tmp_path / "texts", [dataset], [])
    with pytest.raises(UsageError, match="make it first"):
        make_one(tmp_path, graded, materials, Budget())
    source = tmp_path / "uhd" / "model"
    source.mkdir(parents=True)
    (source / "lsr_encoder.json").write_text('{"document": {"wide": {"binary": true, "width": 9}}}')
    for _ in range(2):
        make_one(tmp_path, graded, materials, Budget())
    values = json.loads((tmp_path / "uhd-graded" / "model" / "lsr_encoder.json").read_text())
    assert values == {"document": {"wide": {"binary": False, "width": 9}}}
    make_all(tmp_path, materials, Budget(steps=3), names=[])
    with pytest.raises(UsageError, match="trainings of another budget"):
        make_all(tmp_path, materials, Budget(steps=4), names=[])


def test_binary_impacts_are_timed_beside_graded_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = {"id": ["d0", "d1"], "terms": [["a", "b"], ["b"]], "weights": pa.array([[3, 9], [4]], pa.list_(pa.uint8()))}
    pq.write_table(pa.table(table), tmp_path / "vectors.parquet")
    (tmp_path / "queries.tsv").write_text("q0\ta a b\nq1\tb\n")
    vectors, queries = tmp_path / "vectors.parquet", tmp_path / "queries.tsv"
    sides = make_sides(vectors, queries, tmp_path)
    scores = [[found.scores.tolist() for found in side.searcher.rank(side.queries)] for side in sides]
    assert scores == [[[15.0, 4.0], [9.0, 4.0]], [[2.0, 1.0], [1.0, 1.0]]]
    assert time_binary([str(vectors), str(queries), "--documents", "1", "--rounds", "1", "-k", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| as they are", "| each 1"]
