"""MTEB's files, read by mteb's own loader."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lsr.errors import LsrError, UsageError
from lsr.eval.reports.mteb_files import TASKS, task_result, write_mteb_files
from lsr.eval.reports.provenance import provenance
from lsr.eval.reports.results import DatasetFacts, Protocol, Result

RESULT = Result(
    system="mine",
    encoder={"kind": "splade", "name": "mine", "settings": {"document": {"max_length": 256}}},
    dataset=DatasetFacts("nfcorpus", "test", 323, 12334, "ab" * 32, 0, 3633, 0, 0, 0),
    protocol=Protocol(100, "title and text", False, "ours", None),
    measures={"nDCG@10": 0.36324296, "Recall@100": 0.29642916, "MRR@10": 0.57, "MAP@100": 0.17, "R_cap@100": 0.3},
    n_queries_without_results=0,
    n_queries_not_judged=0,
    n_unjudged_at_10=7.0,
    identical_ids_dropped=None,
    efficiency=None,
    per_query=None,
    provenance=provenance("lsr eval"),
)


def test_mtebs_own_loader_reads_the_files(tmp_path: Path) -> None:
    mteb = pytest.importorskip("mteb", reason="mteb is not installed: its loader can't be asked")
    paths, left_out = write_mteb_files([RESULT], tmp_path, model="me/mine", revision="v1")
    assert left_out == [] and [path.name for path in paths] == ["NFCorpus.json"]
    read = mteb.TaskResult.from_disk(paths[0], load_historic_data=False)
    assert read.task_name == "NFCorpus" and read.get_score() == pytest.approx(0.363243)
    assert read.scores["test"][0]["recall_at_100"] == pytest.approx(0.296429)
    assert read.date is not None and read.date.timestamp() > 1.7e9
    read.validate_and_filter_scores()
    metadata = mteb.get_task("NFCorpus").metadata
    assert read.dataset_revision == metadata.dataset["revision"] and metadata.main_score in read.scores["test"][0]


def test_mtebs_result_cache_finds_them(tmp_path: Path) -> None:
    mteb = pytest.importorskip("mteb", reason="mteb is not installed: its loader can't be asked")
    write_mteb_files([RESULT], tmp_path, model="me/mine", revision="v1")
    found = mteb.ResultCache(tmp_path).load_results(tasks=["NFCorpus"], validate_and_filter=False)
    assert [model.model_name for model in found.model_results] == ["me/mine"]
    assert found.model_results[0].task_results[0].get_score() == pytest.approx(0.363243)


def test_the_model_meta_stub_is_python_that_mteb_accepts(tmp_path: Path) -> None:
    pytest.importorskip("mteb", reason="mteb is not installed: its ModelMeta can't be asked")
    write_mteb_files([RESULT], tmp_path, model="me/mine", revision="v1")
    stub = next(tmp_path.rglob("model_meta.py")).read_text()
    names: dict[str, object] = {}
    exec(compile(stub, "model_meta.py", "exec"), names)
    meta = names["me_mine"]
    assert (meta.name, meta.revision, meta.max_tokens, meta.model_type) == ("me/mine", "v1", 256, ["sparse"])  # type: ignore[attr-defined]
    assert "lsr-search" in stub and "fill it in" in stub


def test_every_task_is_known_to_mteb_at_its_revision() -> None:
    mteb = pytest.importorskip("mteb", reason="mteb is not installed: its tasks can't be asked")
    for task in TASKS.values():
        metadata = mteb.get_task(task.name).metadata
        assert metadata.dataset["revision"] == task.revision
        assert task.split in metadata.eval_splits


def test_files_are_marked_with_what_made_them() -> None:
    scores = task_result(RESULT)["scores"]["test"][0]
    assert scores["main_score"] == 0.363243 and "R_cap" not in json.dumps(scores)
    assert scores["made_by"].startswith("lsr-search ") and "not run by mteb" in scores["made_by"]


def test_what_is_no_task_of_mteb_is_left_out_and_said(tmp_path: Path) -> None:
    others = [
        replace(RESULT, dataset=replace(RESULT.dataset, name="cranfield")),
        replace(RESULT, dataset=replace(RESULT.dataset, name="scifact", split="train")),
        replace(
            RESULT, dataset=replace(RESULT.dataset, name="fiqa"), protocol=replace(RESULT.protocol, approximate="x")
        ),
    ]
    paths, left_out = write_mteb_files([RESULT, *others], tmp_path, model="me/mine", revision="v1")
    assert len(paths) == 1
    assert left_out == [
        "cranfield (test): no task of MTEB",
        "scifact (train): MTEB measures the split test",
        "fiqa (test): approximate search",
    ]
    with pytest.raises(LsrError, match="none of the results fits"):
        write_mteb_files(others, tmp_path, model="me/mine", revision="v1")


@pytest.mark.parametrize(("model", "revision"), [("mine", "v1"), ("../x/y", "v1"), ("me/mine", "../v1")])
def test_names_that_mteb_would_not_take_are_refused(tmp_path: Path, model: str, revision: str) -> None:
    with pytest.raises(UsageError, match="organisation/name"):
        write_mteb_files([RESULT], tmp_path, model=model, revision=revision)
    assert list(tmp_path.iterdir()) == []
