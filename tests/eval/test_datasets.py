"""BEIR folders: everything that is odd is said or counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lsr.errors import BadDocumentError, LsrError
from lsr.eval.data.datasets import dataset_folders, load_dataset
from lsr.eval.data.query_files import read_queries

DOCS = [
    {"_id": "d1", "title": "One", "text": "first"},
    {"_id": "d2", "text": "second"},
    {"_id": "d3", "title": "Three"},
]
QUERIES = [{"_id": "q1", "text": "alpha"}, {"_id": "q2", "text": "beta"}, {"_id": "q3", "text": "gamma"}]
HEADER = "query-id\tcorpus-id\tscore\n"


def lines(entries: list[dict[str, object]] | list[dict[str, str]]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(lines(DOCS))
    (folder / "queries.jsonl").write_text(lines(QUERIES))
    (folder / "qrels" / "test.tsv").write_text(HEADER + "q2\td2\t1\nq1\td9\t2\nq1\td1\t1\n")
    (folder / "qrels" / "dev.tsv").write_text(HEADER + "q3\td3\t1\n")
    return folder


def test_a_split_is_its_judged_queries_in_order(folder: Path) -> None:
    dataset = load_dataset(folder)
    assert (dataset.name, dataset.split) == ("tiny", "test")
    assert dict(dataset.queries) == {"q2": "beta", "q1": "alpha"}
    assert dataset.qrels == {"q2": {"d2": 1}, "q1": {"d9": 2, "d1": 1}}
    assert (dataset.n_queries_without_qrels, dataset.n_judgements) == (1, 3)
    assert load_dataset(folder, split="dev").queries == {"q3": "gamma"}


def test_missing_titles_and_judged_documents_that_are_not_there_are_counted(folder: Path) -> None:
    dataset = load_dataset(folder)
    assert [(d.doc_id, d.title, d.text) for d in dataset.documents()] == [
        ("d1", "One", "first"),
        ("d2", "", "second"),
        ("d3", "Three", ""),
    ]
    summary = dataset.summary()
    assert (summary.n_docs, summary.n_without_title, summary.n_without_text, summary.n_unknown_judged) == (3, 1, 1, 1)


def test_gzipped_files_are_read_too(folder: Path) -> None:
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        path = folder / name
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert load_dataset(folder).summary().n_docs == 3
    assert dataset_folders(folder) == [("tiny", folder)]


def test_a_folder_of_datasets_gives_each(folder: Path) -> None:
    second = folder.parent / "another"
    second.mkdir()
    (second / "corpus.jsonl").write_text("")
    assert dataset_folders(folder.parent) == [("another", second), ("tiny", folder)]
    whole = folder.parent.rename(folder.parent.parent / "cqadupstack")
    names = [name for name, _ in dataset_folders(whole)]
    assert names == ["cqadupstack/another", "cqadupstack/tiny"]
    with pytest.raises(LsrError, match="no BEIR dataset"):
        dataset_folders(whole / "tiny" / "qrels")
    with pytest.raises(LsrError, match="no such folder"):
        dataset_folders(whole / "absent")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines([*DOCS, {"_id": "d2", "text": "again"}]), ":4: the id 'd2' is already in line 2"),
        ('{"_id": "d1"}\n{"_id": \n', ":2: broken JSON"),
        ('["d1"]\n', ":1: a JSON object"),
        ('{"text": "no id"}\n', ":1: '_id' is None"),
        ('{"_id": "d1", "text": ["a"]}\n', ":1: 'text' is list"),
    ],
)
def test_broken_corpora_are_errors_with_the_line(folder: Path, content: str, message: str) -> None:
    (folder / "corpus.jsonl").write_text(content)
    with pytest.raises(BadDocumentError, match=message):
        load_dataset(folder).summary()


def test_an_empty_corpus_is_an_error(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text("\n")
    with pytest.raises(LsrError, match="no documents"):
        load_dataset(folder).summary()


def test_text_that_is_not_utf8_names_the_line(folder: Path) -> None:
    (folder / "corpus.jsonl").write_bytes(lines(DOCS).encode() + b'{"_id": "d4", "text": "caf\xe9"}\n')
    with pytest.raises(LsrError, match=":4: not UTF-8"):
        load_dataset(folder).summary()


def test_duplicate_query_ids_name_the_line(folder: Path) -> None:
    (folder / "queries.jsonl").write_text(lines([*QUERIES, {"_id": "q1", "text": "again"}]))
    with pytest.raises(LsrError, match=":4: the query id 'q1'"):
        load_dataset(folder)


def test_a_judged_query_without_text_is_an_error(folder: Path) -> None:
    (folder / "queries.jsonl").write_text(lines(QUERIES[:1]))
    with pytest.raises(LsrError, match=r"1 of 2 judged queries have no text.*'q2'"):
        load_dataset(folder)


def test_an_unknown_split_names_those_there_are(folder: Path) -> None:
    with pytest.raises(LsrError, match="no split 'train'; there is dev, test"):
        load_dataset(folder, split="train")


def test_a_folder_without_its_files_says_which(folder: Path) -> None:
    (folder / "queries.jsonl").unlink()
    with pytest.raises(LsrError, match=r"queries.jsonl is missing"):
        load_dataset(folder)


def test_queries_between_tabs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "topics.tsv"
    path.write_text("7\twhat is a posting list\n8\ta\tb\n")
    assert read_queries(path) == {"7": "what is a posting list", "8": "a\tb"}
    path.write_text("7 what is this\n")
    with pytest.raises(LsrError, match=":1: not a query"):
        read_queries(path)
    path.write_text("")
    with pytest.raises(LsrError, match="no queries"):
        read_queries(path)


@pytest.mark.parametrize(
    ("name", "n_docs", "n_queries"),
    [("nfcorpus", 3633, 323), ("scifact", 5183, 300), ("cranfield", 1400, 225), ("cacm", 3204, 52)],
)
def test_the_shared_collections_are_whole(shared: Path, name: str, n_docs: int, n_queries: int) -> None:
    dataset = load_dataset(shared / "data" / "beir" / name)
    assert (dataset.summary().n_docs, len(dataset.queries)) == (n_docs, n_queries)


def test_judged_queries_with_an_empty_text_do_not_count(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = load_dataset(folder)
    (folder / "queries.jsonl").write_text(lines([QUERIES[0], QUERIES[1] | {"text": " "}]))
    dataset = load_dataset(folder)
    assert set(whole.queries) - set(dataset.queries) == {"q2"} == set(whole.qrels) - set(dataset.qrels)
    assert dataset.n_queries_without_qrels == 0
    assert "1 of 2 judged queries have an empty text, and don't count (first: 'q2')" in caplog.text


def test_a_dataset_of_empty_queries_is_an_error(folder: Path) -> None:
    (folder / "queries.jsonl").write_text(lines([query | {"text": ""} for query in QUERIES]))
    with pytest.raises(LsrError, match="no judged query has a text"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.tsv", "1\tgreen trees\n2\tcats, and dogs\n"),
        ("q.tsv", "id\tquery\n1\tgreen trees\n2\tcats, and dogs\n"),
        ("q.tsv", "\ufeffqid\ttext\n1\tgreen trees\n2\tcats, and dogs\n"),
        ("q.tsv", "Query_ID\tlang\tQuery\n1\ten\tgreen trees\n2\ten\tcats, and dogs\n"),
        ("q.tsv", "query\tid\ngreen trees\t1\ncats, and dogs\t2\n"),
        ("q.csv", '1,green trees\n2,"cats, and dogs"\n'),
        ("q.csv", 'id,query\n1,green trees\n2,"cats, and dogs"\n'),
        ("q.jsonl", '{"_id": "1", "text": "green trees"}\n{"_id": 2, "text": "cats, and dogs"}\n'),
        ("q.jsonl", '{"id": 1, "query": "green trees"}\n{"id": "2", "query": "cats, and dogs"}\n'),
        ("q.ndjson", '{"qid": 1, "question": "green trees"}\n{"qid": "2", "question": "cats, and dogs"}\n'),
    ],
)
def test_queries_with_usual_names_and_with_a_line_of_names(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_queries(tmp_path / name) == {"1": "green trees", "2": "cats, and dogs"}


def test_a_text_may_hold_tabs(tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("1\ta\tb\n")
    assert read_queries(tmp_path / "q.tsv") == {"1": "a\tb"}


@pytest.mark.parametrize("content", ["1\n", "id,query\n,x\n", '1,"open\n', "id,query\n5\n"])
def test_a_broken_line_of_csv_names_its_place(content: str, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text(content)
    with pytest.raises(LsrError, match=r"q\.csv:\d: not"):
        read_queries(tmp_path / "q.csv")
