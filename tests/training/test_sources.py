"""Examples as people have them: TSV triples, DPR's JSON, MS MARCO's folders, Hugging Face datasets."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.training.data.read_examples import ExampleSet, read_examples
from lsr.training.data.sources import json_array
from lsr.training.data.sources.hub_dataset import HubDataset, hub_dataset


def read(path: Path | str, tmp_path: Path, **options: Any) -> ExampleSet:
    return read_examples([path], cache=tmp_path / "cache", **options)


def texts(examples: ExampleSet) -> list[tuple[str, list[str]]]:
    return [(one.query, [document.text for document in one.documents]) for one in examples]


@pytest.mark.parametrize("name", ["triples.tsv", "triples.tsv.gz"])
def test_triples_with_tabs(name: str, tmp_path: Path) -> None:
    content = 'what is a cat\tan animal\ta car\nwhat is "it"\tthat\tno\n'
    if name.endswith(".gz"):
        with gzip.open(tmp_path / name, "wt") as file:
            file.write(content)
    else:
        (tmp_path / name).write_text(content)
    assert texts(read(tmp_path / name, tmp_path)) == [
        ("what is a cat", ["an animal", "a car"]),
        ('what is "it"', ["that", "no"]),
    ]


def test_pairs_lists_and_headers_with_tabs(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("q\tp\n")
    assert texts(read(tmp_path / "pairs.tsv", tmp_path)) == [("q", ["p"])]
    (tmp_path / "many.tsv").write_text("q\tp\tn1\tn2\n")
    assert texts(read(tmp_path / "many.tsv", tmp_path)) == [("q", ["p", "n1", "n2"])]
    (tmp_path / "named.tsv").write_text("positive\tquery\np\tq\n")
    assert texts(read(tmp_path / "named.tsv", tmp_path)) == [("q", ["p"])]


def test_triples_by_ids(msmarco: Path, tmp_path: Path) -> None:
    (tmp_path / "qidpidtriples.tsv").write_text("1\t10\t30\n")
    options = {"corpus": [msmarco / "collection.tsv"], "queries": msmarco / "queries.train.tsv"}
    assert texts(read(tmp_path / "qidpidtriples.tsv", tmp_path, **options)) == [("a cat", ["cats purr", "cars drive"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q\tp\tn\nq\tp\n", "line 2: 2 columns, but the first line has 3: query, positive, negative"),
        ("no tabs at all\n", "line 1: one column; a query, its positive"),
    ],
)
def test_broken_lines_are_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "broken.tsv").write_text(content)
    with pytest.raises(BadDocumentError, match=message):
        read(tmp_path / "broken.tsv", tmp_path)


DPR = [
    {
        "dataset": "nq",
        "question": "a cat",
        "answers": ["Tom"],
        "positive_ctxs": [{"title": "Cats", "text": "cats purr", "score": 3, "title_score": 1, "passage_id": "7"}],
        "negative_ctxs": [{"title": "", "text": "cars drive", "psg_id": 9}],
        "hard_negative_ctxs": [{"title": "Dogs", "text": "dogs bark"}],
    },
    {"question": "nothing", "answers": [], "positive_ctxs": [], "negative_ctxs": [], "hard_negative_ctxs": []},
]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_files_of_dpr(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_array, "CHUNK", chunk)
    (tmp_path / "dpr.json").write_text(json.dumps(DPR, indent=4))
    examples = read(tmp_path / "dpr.json", tmp_path)
    assert texts(examples) == [("a cat", ["cats purr", "dogs bark", "cars drive"])]
    positive, _, other = examples[0].documents
    assert (positive.doc_id, positive.title, other.doc_id) == ("7", "Cats", "9")
    assert examples.report.n_empty_positives == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"question": "q"}', "no array of JSON objects: it begins with"),
        ('[{"query": "q", "positive": "p"}, 3]', "record 2: int; a JSON object was expected"),
        ('[{"query": "q", "positive": "p"}', "record 2: broken JSON"),
        ('[{"query": "q", ', "record 1: broken JSON"),
    ],
)
def test_broken_arrays_are_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text(content)
    with pytest.raises(BadDocumentError, match=message):
        read(tmp_path / "broken.json", tmp_path)


@pytest.fixture
def msmarco(tmp_path: Path) -> Path:
    folder = tmp_path / "msmarco"
    folder.mkdir()
    (folder / "collection.tsv").write_text("10\tcats purr\n20\tdogs bark\n30\tcars drive\n")
    (folder / "queries.train.tsv").write_text("1\ta cat\n2\ta dog\n3\tnobody judged this\n")
    (folder / "qrels.train.tsv").write_text("1\t0\t10\t1\n2\t0\t20\t1\n2\t0\t30\t0\n")
    return folder


def test_a_folder_of_ms_marco(msmarco: Path, tmp_path: Path) -> None:
    examples = read(msmarco, tmp_path)
    assert texts(examples) == [("a cat", ["cats purr"]), ("a dog", ["dogs bark", "cars drive"])]
    assert examples[0].documents[0].doc_id == "10"
    assert sum(len(store) for store in examples.corpora()) == 3
    with pytest.raises(LsrError, match=r"no queries\.dev\.tsv; there are the splits train"):
        read(msmarco, tmp_path, split="dev")
    (msmarco / "collection.tsv").write_text("10\tcats purr\tmore\n")
    with pytest.raises(BadDocumentError, match="line 1: 3 columns"):
        read(msmarco, tmp_path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hf:owner/name", HubDataset("owner/name")),
        ("hf:owner/name:pair@dev#100", HubDataset("owner/name", "pair", "dev", 100)),
        ("hf:owner/name#5", HubDataset("owner/name", rows=5)),
        ("owner/name", None),
    ],
)
def test_names_of_datasets(text: str, wanted: HubDataset | None) -> None:
    assert hub_dataset(text) == wanted
    assert wanted is None or hub_dataset(str(wanted)) == wanted


@pytest.mark.parametrize("text", ["hf:", "hf:name@", "hf:name#many", "hf:name#0"])
def test_names_that_are_none_of_a_dataset(text: str) -> None:
    with pytest.raises(UsageError, match="hf:"):
        hub_dataset(text)


def test_a_dataset_is_streamed_from_a_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"anchor": ["q1", "q2", "q3"], "positive": ["p1", "p2", "p3"], "negative": ["n1", "n2", "n3"]}
    folder = tmp_path / "set"
    folder.mkdir()
    datasets.Dataset.from_dict(rows).to_parquet(folder / "train-00000-of-00001.parquet")
    assert texts(read(f"hf:{folder}", tmp_path)) == [(f"q{i}", [f"p{i}", f"n{i}"]) for i in (1, 2, 3)]
    assert len(read(f"hf:{folder}#2", tmp_path)) == 2
    with pytest.raises(LsrError, match="can't be read"):
        read(f"hf:{folder}@nothing", tmp_path)


def test_a_saved_dataset_and_columns_in_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    datasets = pytest.importorskip("datasets")
    saved = datasets.DatasetDict({"dev": datasets.Dataset.from_dict({"sentence1": ["a"], "sentence2": ["b"]})})
    saved.save_to_disk(str(tmp_path / "saved"))
    caplog.set_level("INFO", "lsr")
    assert texts(read(f"hf:{tmp_path / 'saved'}@dev", tmp_path)) == [("a", ["b"])]
    assert "columns sentence1, sentence2 are taken as query, positive, in this order" in caplog.text
    with pytest.raises(LsrError, match="no split 'train'; there are dev"):
        read(f"hf:{tmp_path / 'saved'}", tmp_path)
    scored = datasets.Dataset.from_dict({"sentence1": ["a"], "sentence2": ["b"], "score": [0.5]})
    scored.save_to_disk(str(tmp_path / "scored"))
    with pytest.raises(BadDocumentError, match="no column with the query"):
        read(f"hf:{tmp_path / 'scored'}", tmp_path)
