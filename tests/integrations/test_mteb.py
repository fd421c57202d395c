"""The search model of MTEB, measured by MTEB itself on a task of some texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lsr.errors import LsrError

mteb = pytest.importorskip("mteb", reason="mteb is not installed")
datasets = pytest.importorskip("datasets", reason="datasets is not installed")

from lsr.integrations.mteb import LsrSearch  # noqa: E402

CORPUS = [{"id": "a", "title": "Trees", "text": "They grow slowly."}, {"id": "b", "title": "", "text": "A tree house."},
          {"id": "c", "title": "", "text": "A cat sleeps."}]  # fmt: skip
QUERIES = [{"id": "q", "text": "growing trees"}, {"id": "r", "text": "sleeping cats"}]
TASK: dict[str, Any] = {
    "task_metadata": None, "hf_split": "test", "hf_subset": "default", "encode_kwargs": {}, "num_proc": None,
}  # fmt: skip


def test_it_is_what_mteb_asks_for() -> None:
    from mteb.models.models_protocols import SearchProtocol

    model = LsrSearch("bm25", hybrid=None)
    assert isinstance(model, SearchProtocol)
    assert model.mteb_model_meta.name == "lsr-search/bm25"
    with pytest.raises(LsrError, match=r"index\(\) before"):
        model.search(datasets.Dataset.from_list(QUERIES), top_k=2, **TASK)


def test_scores_are_those_of_the_index() -> None:
    model = LsrSearch("bm25")
    model.index(datasets.Dataset.from_list(CORPUS), **TASK)
    found = model.search(datasets.Dataset.from_list(QUERIES), top_k=2, **TASK)
    assert {query_id: list(hits) for query_id, hits in found.items()} == {"q": ["a", "b"], "r": ["c"]}
    among = model.search(datasets.Dataset.from_list(QUERIES), top_k=2, top_ranked={"q": ["b", "c"], "r": ["a"]}, **TASK)
    assert {query_id: list(hits) for query_id, hits in among.items()} == {"q": ["b"], "r": []}
    assert among["q"]["b"] == found["q"]["b"]
    model.close()


@pytest.mark.large
def test_mteb_measures_it(tmp_path: Path) -> None:
    task = task_of(CORPUS, QUERIES, {"q": {"a": 1}, "r": {"c": 1}})
    found = mteb.evaluate(LsrSearch("bm25"), task, cache=mteb.ResultCache(tmp_path), overwrite_strategy="always")
    assert found[0].scores["test"][0]["ndcg_at_10"] == 1.0


@pytest.mark.large
@pytest.mark.parametrize("name", ["scifact", "nfcorpus"])
def test_mteb_measures_what_lsr_eval_measures(shared: Path, tmp_path: Path, name: str) -> None:
    import lsr
    from lsr.eval.data.datasets import load_dataset

    dataset = load_dataset(shared / "data" / "beir" / name)
    corpus = [{"id": each.doc_id, "title": each.title, "text": each.text} for each in dataset.documents()]
    qrels = {query_id: dict(judged) for query_id, judged in dataset.qrels.items()}
    queries = [{"id": query_id, "text": text} for query_id, text in dataset.queries.items()]
    cache = mteb.ResultCache(tmp_path)
    model = LsrSearch("bm25")
    found = mteb.evaluate(model, task_of(corpus, queries, qrels), cache=cache, overwrite_strategy="always")
    by_mteb = found[0].scores["test"][0]["ndcg_at_10"]
    ours = lsr.evaluate("bm25", shared / "data" / "beir" / name).mean["nDCG@10"]
    print(f"{name}: nDCG@10 {by_mteb:.5f} by mteb, {ours:.5f} by lsr.evaluate")  # noqa: T201
    assert by_mteb == pytest.approx(ours, abs=2e-4)
    model.close()


def task_of(corpus: list[dict[str, str]], queries: list[dict[str, str]], qrels: dict[str, dict[str, int]]) -> Any:
    """Return a task of MTEB of these texts."""
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class Task(AbsTaskRetrieval):  # type: ignore[misc,valid-type]
        metadata = TaskMetadata(
            name="Notes", description="some texts", dataset={"path": "none/none", "revision": "1"}, type="Retrieval",
            category="t2t", modalities=["text"], eval_splits=["test"], eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )  # fmt: skip

        def load_data(self, **kwargs: Any) -> None:
            split = {
                "corpus": datasets.Dataset.from_list(corpus), "queries": datasets.Dataset.from_list(queries),
                "relevant_docs": qrels, "top_ranked": None,
            }  # fmt: skip
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    return Task()


def test_equal_scores_keep_the_order_of_the_index() -> None:
    import numpy as np

    from lsr.integrations.mteb import descending

    found = np.array(descending([3.0, 2.5, 2.5, 2.5, 2.0, 0.0, 0.0]), np.float32)
    assert (np.diff(found) < 0).all()
    assert np.allclose(found, [3.0, 2.5, 2.5, 2.5, 2.0, 0.0, 0.0], rtol=1e-6)
    assert descending([]) == []
