"""What a training learns from, as its config says: files, queries made of texts, nothing of test collections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lsr.errors import LsrError, UsageError
from lsr.training.config.config import make_config
from lsr.training.config.data import DataSettings
from lsr.training.config.settings import parse_settings
from lsr.training.config.toml_values import with_overrides
from lsr.training.data.example import Example
from lsr.training.data.load import Subset, decontaminate, open_examples
from lsr.training.train import train
from lsr.types import Document

SENTENCE = "The river that the old mountain village was named after {0} runs dry in the {0} summers of the valley."


def data_of(**values: Any) -> DataSettings:
    return parse_settings(DataSettings, values, "data")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def notes(tmp_path: Path, cache: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for i in range(12):
        text = " ".join(SENTENCE.format(f"hot{i}x{j}") for j in range(3))
        (folder / f"note{i}.md").write_text(f"# Journey number {i} to place{i}\n\n{text}\n")
    return folder


@pytest.fixture
def pairs(tmp_path: Path, cache: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    rows = [{"query": f"who was key{i}", "positive": SENTENCE.format(f"key{i}")} for i in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_queries_are_made_of_texts_beside_the_examples_of_files(notes: Path, pairs: Path) -> None:
    making = {"corpus": [str(notes)], "shares": {"title": 1.0}, "min_words": 5, "passage_words": 0, "leave_out": 0}
    made = open_examples(data_of(make_queries=making))
    assert len(made) == 12 and "generated 12 queries from 12 documents" in made.summary()[0]
    assert {example.query for example in made} == {f"Journey number {i} to place{i}" for i in range(12)}
    both = open_examples(data_of(make_queries=making, files=[str(pairs)]))
    assert [example.query for example in both] == [f"who was key{i}" for i in range(6)] + [e.query for e in made]


def test_a_folder_of_texts_trains_a_model_without_any_other_file(
    notes: Path, tmp_path: Path, random_model: Path
) -> None:
    making = {"corpus": [str(notes)], "min_words": 5, "passage_words": 0}
    values = {
        "encoder": {"start": str(random_model), "family": "inference-free"},
        "data": {"negatives": 1, "make_queries": making, "mining": {"first": "bm25"}},
        "loss": {"margin": {}},
        "sparsity": {"documents": {"target": 4.0}},
        "train": {"steps": 2, "batch_size": 4, "learning_rate": 1e-3},
    }
    result = train(make_config(values), tmp_path / "run")
    assert result.record["n_examples"] == 12 and result.record["config"]["data"]["make_queries"] is not None


def test_examples_that_share_text_with_a_test_collection_are_refused_or_left_out(
    pairs: Path, tmp_path: Path, toy: Any, logged: pytest.LogCaptureFixture
) -> None:
    tested = toy.save_beir(tmp_path / "tested")
    with (tested / "corpus.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "x", "title": "", "text": SENTENCE.format("key4")}) + "\n")
    plain = data_of(files=[str(pairs)])
    examples = open_examples(plain)
    assert decontaminate(examples, plain, tmp_path) is examples
    refusing = data_of(files=[str(pairs)], check_overlap=[str(tested)])
    with pytest.raises(LsrError, match=r"data.check_overlap: 1 of 6 examples share .*; set data.overlap to 'drop'"):
        decontaminate(examples, refusing, tmp_path)
    dropping = data_of(files=[str(pairs)], check_overlap=[str(tested)], overlap="drop")
    left = decontaminate(examples, dropping, tmp_path)
    assert [left[i].query for i in range(len(left))] == [f"who was key{i}" for i in (0, 1, 2, 3, 5)]
    assert logged.messages[-1].startswith("1 of 6 examples share") and logged.messages[-1].endswith("they are left out")
    n_lines = len(logged.messages)
    assert len(decontaminate(examples, dropping, tmp_path)) == 5
    assert len(logged.messages) == n_lines, "found out once"
    with pytest.raises(LsrError, match="made of 6 examples, not of 5"):
        decontaminate(left, dropping, tmp_path)


def test_a_test_collection_that_holds_everything_leaves_nothing(pairs: Path, tmp_path: Path, toy: Any) -> None:
    tested = toy.save_beir(tmp_path / "tested")
    examples = [Example(SENTENCE.format("one"), (Document("d", "text"),))]
    with (tested / "queries.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "x", "text": examples[0].query}) + "\n")
    data = data_of(check_overlap=[str(tested)], overlap="drop")
    with pytest.raises(LsrError, match="none is left"):
        decontaminate(examples, data, tmp_path)


def test_a_subset_knows_the_corpora_of_the_whole(tmp_path: Path, cache: Path) -> None:
    import numpy as np

    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "text": "one"}\n{"_id": "b", "text": "two"}\n')
    (tmp_path / "ids.jsonl").write_text('{"query": "q", "positive_id": "a"}\n{"query": "r", "positive_id": "b"}\n')
    data = data_of(files=[str(tmp_path / "ids.jsonl")], corpus=[str(tmp_path / "corpus.jsonl")])
    some = Subset(open_examples(data), np.array([1]))
    assert (len(some), some[0].query, some[0].documents[0].text) == (1, "r", "two")
    assert [len(corpus) for corpus in some.corpora()] == [2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.overlap=hide", "data.overlap is 'hide', but has to be one of refuse, drop"),
        ("data.make_queries={sample=0.5}", "data.make_queries.corpus names no texts"),
        ("data.make_queries={corpus=['x'], sampel=0.5}", "did you mean 'sample'"),
        ("data.make_queries={corpus=['x'], sample=2.0}", "sample is 2.0"),
    ],
)
def test_settings_that_cannot_be(change: str, message: str) -> None:
    values = {"encoder": {"start": "x"}, "loss": {"infonce": {}}, "train": {"steps": 1}}
    with pytest.raises(UsageError, match=message):
        make_config(with_overrides(values, [change]))
