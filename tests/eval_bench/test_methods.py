"""The tables of methods and of sparse codes, over a toy collection."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lsr.encoders.converted.fit_codes import FittingSettings
from lsr.eval.bench.methods.codes import COLUMNS as CODES_COLUMNS
from lsr.eval.bench.methods.codes import curve, full, measured
from lsr.eval.bench.methods.table import COLUMNS, METHODS, NOT_MEASURED, main, rows
from lsr.eval.data.datasets import Dataset, load_dataset
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
    found = list(rows(tmp_path, [dataset]))
    assert len(found) == len(METHODS) and all(len(row) == len(COLUMNS) for row in found)
    assert found[0][1:4] == ["toy", "1.0000", "0.5000"]
    assert {row[2] for row in found[1:]} == {NOT_MEASURED}


def test_every_method_but_expansion_has_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {method.name for method in METHODS[1:]} <= {recipe.name for recipe in recipes()}
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
