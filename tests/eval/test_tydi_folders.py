"""Test collections in the layouts of Mr. TyDi, of its files on the hub, and of MIRACL."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from lsr.errors import LsrError
from lsr.eval.data.datasets import dataset_folders, load_dataset

TOPICS = {"q1": "क्या बिल्लियाँ सोती हैं", "q2": "cane"}
TYDI = {
    "collection/docs.jsonl.gz": [
        {"id": "7#0", "contents": "बिल्लियाँ\n\nबिल्लियाँ बहुत सोती हैं"},
        {"id": "9#1", "contents": "il cane corre"},
    ]
}
HUB = {
    "corpus.jsonl.gz": [
        {"docid": "7#0", "title": "बिल्लियाँ", "text": "बिल्लियाँ बहुत सोती हैं"},
        {"docid": "9#1", "title": "", "text": "il cane corre"},
    ]
}
MIRACL = {f"docs-{i}.jsonl.gz": [row] for i, row in enumerate(HUB["corpus.jsonl.gz"])}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache"))


def save(
    folder: Path, documents: Mapping[str, list[dict[str, str]]], topics: str, qrels: str, *, split: str = "test"
) -> Path:
    for name, rows in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    judged = {"test": "q1 Q0 7#0 1\nq2 Q0 9#1 1\n", "dev": "q2 Q0 9#1 1\n"}[split]
    for name, content in (
        (topics, "".join(f"{name}\t{text}\n" for name, text in TOPICS.items())),
        (qrels, judged),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


LAYOUTS = {
    "mrtydi-v1.1-hindi": (TYDI, "topic.test.tsv", "qrels.test.txt"),
    "hub": (HUB, "ir-format-data/topics.test.txt", "ir-format-data/qrels.test.txt"),
    "miracl": (MIRACL, "topics/topics.miracl-v1.0-hi-test.tsv", "qrels/qrels.miracl-v1.0-hi-test.tsv"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_language_is_a_collection(layout: str, tmp_path: Path) -> None:
    ((name, beir),) = dataset_folders(save(tmp_path / layout, *LAYOUTS[layout]))
    dataset = load_dataset(beir, name=name)
    assert name == layout and dataset.queries == TOPICS and dataset.qrels == {"q1": {"7#0": 1}, "q2": {"9#1": 1}}
    found = {document.doc_id: (document.title, document.text) for document in dataset.documents()}
    assert found == {"7#0": ("बिल्लियाँ", "बिल्लियाँ बहुत सोती हैं"), "9#1": ("", "il cane corre")}
    assert dataset_folders(tmp_path / layout) == [(name, beir)]


def test_a_folder_of_languages_is_one_collection_each(tmp_path: Path) -> None:
    for layout, values in LAYOUTS.items():
        save(tmp_path / "all" / layout, *values)
    found = dataset_folders(tmp_path / "all")
    assert [name for name, _ in found] == sorted(LAYOUTS)
    assert all(load_dataset(beir, name=name).qrels["q2"] == {"9#1": 1} for name, beir in found)


def test_each_split_has_its_judgements(tmp_path: Path) -> None:
    folder = save(tmp_path / "hindi", TYDI, "topic.dev.tsv", "qrels.dev.txt", split="dev")
    save(folder, TYDI, "topic.test.tsv", "qrels.test.txt")
    (folder / "topic.tsv").write_text("all of them\tare no split\n")
    ((_, beir),) = dataset_folders(folder)
    assert load_dataset(beir, split="dev").qrels == {"q2": {"9#1": 1}}
    assert len(load_dataset(beir, split="test").qrels) == 2


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    lacking = save(tmp_path / "a", TYDI, "topic.test.tsv", "qrels.dev.txt")
    with pytest.raises(LsrError, match=r"topics of test, but no qrels\.<split>\.txt"):
        dataset_folders(lacking)
    with pytest.raises(LsrError, match=r"no documents: collection/docs\.jsonl"):
        dataset_folders(save(tmp_path / "b", {}, "topic.test.tsv", "qrels.test.txt"))
    twice = save(tmp_path / "c", TYDI, "topic.test.tsv", "qrels.test.txt")
    save(twice, {}, "topic.dev.tsv", "qrels.dev.txt", split="dev")
    (twice / "topic.dev.tsv").write_text("q1\tanother text\n")
    with pytest.raises(LsrError, match="query 'q1' has another text"):
        dataset_folders(twice)
    nameless = save(tmp_path / "d", {"docs.jsonl.gz": [{"text": "x"}]}, "topic.test.tsv", "qrels.test.txt")
    with pytest.raises(LsrError, match="'docid'"):
        dataset_folders(nameless)
