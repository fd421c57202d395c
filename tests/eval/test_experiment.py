"""`evaluate` in Python: systems and datasets as values, and results that say what they are."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lsr.cli.main import main
from lsr.encoders.registry import load_encoder
from lsr.errors import LsrError, UsageError
from lsr.eval.data.datasets import Dataset, load_dataset
from lsr.eval.experiment import evaluate
from lsr.eval.systems import registry
from lsr.eval.systems.registry import BASELINES, distinct_names
from lsr.eval.systems.system import SystemRun
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.query.engine.approximate import Approximate
from lsr.query.feedback import Feedback
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.types import Document

FED = {"n_docs": 2, "n_terms": 10, "alpha": 1.0, "beta": 0.75}


class Backwards:
    """A system that finds every document, the last one first."""

    name = "backwards"

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        doc_ids = [document.doc_id for document in dataset.documents()][::-1][:k]
        run = {query_id: {doc_id: float(-i) for i, doc_id in enumerate(doc_ids)} for query_id in dataset.queries}
        return SystemRun(run, {"kind": "backwards"})


@pytest.fixture
def index(tiny: Path, tmp_path: Path) -> Path:
    index_documents(load_dataset(tiny).documents(), tmp_path / "index", load_encoder("bm25"))
    return tmp_path / "index"


def test_an_index_is_measured_as_it_is_by_path_opened_or_as_a_searcher(index: Path, tiny: Path) -> None:
    before = sorted(path.name for path in index.rglob("*"))
    found = [evaluate(value, tiny) for value in (index, str(index), StoredIndex.open(index), Searcher(index))]
    assert len({json.dumps(dict(result.mean)) for result in found}) == 1
    assert found[0].mean["nDCG@10"] == pytest.approx(sum(found[0].per_query["nDCG@10"].values()) / 3)
    assert list(found[0].systems) == ["index"] and found[0].results[0].efficiency is not None
    assert sorted(path.name for path in index.rglob("*")) == before


def test_an_encoder_gives_what_the_command_gives(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["eval", str(tiny), "--encoder", "bm25", "--feedback", "2", "--json", "--cache", str(tmp_path / "cache")]
    assert main(args) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    plain, fed = (row["measures"] for row in printed if row["kind"] == "result")
    assert evaluate("bm25", tiny, cache=tmp_path / "cache").mean == plain
    assert evaluate(load_encoder("bm25"), tiny, cache=tmp_path / "cache").mean == plain
    assert evaluate("bm25", tiny, cache=tmp_path / "cache", feedback=2).mean == fed


def test_an_object_with_a_name_and_a_run_is_a_system(index: Path, tiny: Path) -> None:
    result = evaluate([index, Backwards()], tiny, measures=["P@1", "MRR@10"])
    assert result.systems["backwards"].per_query["P@1"] == {"q1": 0.0, "q2": 0.0, "q3": 0.0}
    assert result.systems["backwards"].per_query["MRR@10"] == {"q1": 0.25, "q2": 1 / 3, "q3": 0.5}
    (comparison,) = result.significance
    assert (comparison.a, comparison.b, comparison.measure) == ("index", "backwards", "P@1")
    assert (comparison.wins, comparison.ties, comparison.losses) == (0, 2, 1)


def test_a_new_system_is_known_by_its_name_with_one_line(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "BASELINES", {**BASELINES, "backwards": lambda _: Backwards()})
    assert evaluate("backwards", tiny).mean["MRR@10"] == pytest.approx((0.25 + 1 / 3 + 0.5) / 3)
    assert main(["eval", str(tiny), "--baseline", "backwards", "--cache", str(tmp_path)]) == 0
    assert "tiny        backwards" in capsys.readouterr().out


def test_the_shortcuts_are_for_one_system_and_one_dataset(index: Path, tiny: Path, other: Path, tmp_path: Path) -> None:
    several = evaluate({"mine": index, "theirs": Backwards()}, tiny)
    assert list(several.systems) == ["mine", "theirs"]
    with pytest.raises(UsageError, match=r"2 systems were measured: take \.systems\[NAME\]\.mean"):
        _ = several.mean
    datasets = evaluate("bm25", [tiny, load_dataset(other)], cache=tmp_path / "cache")
    each = [datasets.systems["bm25"].datasets[name].measures["nDCG@10"] for name in ("tiny", "other")]
    assert datasets.mean["nDCG@10"] == pytest.approx(sum(each) / 2)
    with pytest.raises(UsageError, match=r"2 datasets: take \.datasets\[NAME\]\.per_query"):
        _ = datasets.per_query


def test_a_result_is_shown_as_a_table(index: Path, tiny: Path, other: Path, tmp_path: Path) -> None:
    result = evaluate("bm25", [tiny, other], cache=tmp_path / "cache", measures=["nDCG@10"])
    lines = repr(result).splitlines()
    assert lines[0].split() == ["dataset", "system", "nDCG@10"]
    assert [line.split()[0] for line in lines[2:]] == ["tiny", "other", "mean"]
    html = evaluate({"<b>": Backwards(), "mine": index}, tiny)._repr_html_()
    assert html.startswith("<table>") and html.count("<tr>") == 3
    assert "<td>&lt;b&gt;</td>" in html and "<td>mine</td>" in html
    assert repr(result.systems["bm25"]) == repr(result)


@pytest.mark.parametrize(
    ("options", "description", "approximate"),
    [
        ({"feedback": 2}, {"feedback": FED}, None),
        (
            {"feedback": Feedback(n_docs=1)},
            {"feedback": {"n_docs": 1, "n_terms": 10, "alpha": 1.0, "beta": 0.75}},
            None,
        ),
        ({"approximate": "alpha=0.5"}, {}, "alpha=0.5"),
        ({"approximate": {"query_cut": 3}}, {}, "query_cut=3"),
        ({"approximate": Approximate(superblocks=1)}, {}, "superblocks=1"),
        ({"options": SearchOptions(feedback=2, approximate={"query_cut": 9})}, {"feedback": FED}, "query_cut=9"),
    ],
)
def test_how_an_index_is_searched_can_be_said_and_is_told(
    index: Path, tiny: Path, options: dict[str, Any], description: Mapping[str, Any], approximate: str | None
) -> None:
    (result,) = evaluate(index, tiny, **options).results
    assert result.encoder is not None
    assert {name: result.encoder[name] for name in description} == description
    assert result.protocol.approximate == approximate


def test_a_searcher_is_searched_with_its_own_options(index: Path, tiny: Path) -> None:
    searcher = Searcher(index, options=SearchOptions(feedback=2))
    assert evaluate(searcher, tiny).mean == evaluate(index, tiny, feedback=2).mean


def test_a_filter_leaves_documents_out(tiny: Path, tmp_path: Path) -> None:
    documents = [
        Document(d.doc_id, d.text, fields={"odd": d.doc_id in ("d1", "d3")}) for d in load_dataset(tiny).documents()
    ]
    index_documents(documents, tmp_path / "fields", load_encoder("bm25"))
    (result,) = evaluate(tmp_path / "fields", tiny, where="odd == true", measures=["Recall@10"]).results
    assert result.per_query is not None and result.per_query["Recall@10"] == {"q1": 0.5, "q2": 0.5, "q3": 0.0}
    assert result.encoder is not None and result.encoder["where"] == "odd == true"


def test_an_index_that_lacks_documents_is_refused_and_more_are_said(
    tiny: Path, other: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index_documents(load_dataset(tiny).documents(), tmp_path / "small", load_encoder("bm25"))
    index_documents(load_dataset(other).documents(), tmp_path / "large", load_encoder("bm25"))
    with pytest.raises(LsrError, match=r"small: the index lacks 1 documents of other, such as 'd5'"):
        evaluate(tmp_path / "small", other)
    with caplog.at_level(logging.WARNING, "lsr"):
        assert evaluate(tmp_path / "large", tiny).mean["nDCG@10"] > 0
    assert "1 of its 6 documents are not in the corpus of tiny" in caplog.text


def test_an_index_of_passages_is_compared_by_its_documents(tiny: Path, tmp_path: Path) -> None:
    text = " ".join(f"word{i}." for i in range(400))
    with (tiny / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"_id": "long", "text": text}) + "\n")
    args = ["index", str(tiny / "corpus.jsonl"), "--index", str(tmp_path / "cut"), "--passages", "--encoder", "bm25"]
    assert main(args) == 0
    assert evaluate(tmp_path / "cut", tiny).mean["nDCG@10"] > 0


@pytest.mark.parametrize(
    ("systems", "options", "message"),
    [
        ([], {}, "no system to evaluate"),
        (["bm25", "bm25"], {}, "two systems have the same name"),
        (42, {}, "42 is int, which is no system"),
        ([None], {}, "None is NoneType, which is no system"),
        ("bm25", {"hybrid": "both"}, "hybrid is 'both'"),
        ("bm25", {"rerank": "magic"}, "no reranker 'magic'"),
        ("bm25", {"feedback": 0}, "feedback is 0"),
        ("bm25", {"where": 7}, "where is 7"),
        ("bm25", {"hybird": "union"}, "no search option 'hybird': did you mean hybrid"),
        ("bm25", {"options": {"feedback": 2}}, "they must be SearchOptions"),
        ("bm25", {"sort": "year"}, "leave out sort and offset"),
        ("bm25", {"k": 10}, "give -k 100"),
        ("bm25", {"measures": "F1"}, "unknown measure 'F1'"),
        ("bm25", {"threads": 0}, "threads is 0"),
        ("bm25", {"hybrid": "union"}, "no dense vectors"),
    ],
)
def test_what_can_not_be_is_said(
    tiny: Path, tmp_path: Path, systems: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(systems, tiny, cache=tmp_path / "cache", **options)


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ([], "no dataset"),
        (7, "7 is int, which is no dataset"),
        ([7], "7 is int, no dataset"),
        ("sifact", "'sifact' is neither a folder nor a BEIR dataset"),
    ],
)
def test_what_is_no_dataset_is_said(tmp_path: Path, datasets: Any, message: str) -> None:
    with pytest.raises(LsrError, match=message):
        evaluate("bm25", datasets, cache=tmp_path)


def test_the_system_of_the_documentation_runs(
    root: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache"))
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs" / "EVALUATION.md").read_text(encoding="utf-8"), re.S)
    (block,) = (block for block in blocks if "class Longest" in block)
    lines = block.replace("path/to/beir/cranfield", str(tiny)).replace("evaluate([", "result = evaluate([")
    names: dict[str, Any] = {}
    exec(lines, names)
    assert list(names["result"].systems) == ["longest", "bm25"]


def test_names_are_told_apart_by_as_much_of_their_paths_as_needed() -> None:
    assert distinct_names([Path("a/one"), Path("b/two"), None]) == ["one", "two", None]
    assert distinct_names([Path("a/one"), Path("b/one")]) == ["a/one", "b/one"]
    assert distinct_names([Path("/notes/.lsr")]) == ["notes"]
