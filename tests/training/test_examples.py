"""Files become examples: what is understood, what is counted and left out, what is refused and how."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.training.data.read_examples import Example, ExampleSet, read_examples

Write = Callable[[Sequence[Mapping[str, Any]], str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(records: Sequence[Mapping[str, Any]], kind: str) -> Path:
        path = tmp_path / f"data.{kind}"
        name = kind.removesuffix(".gz")
        if name == "parquet":
            plain = tmp_path / "plain.parquet"
            pq.write_table(pa.Table.from_pylist(list(records)), plain)
            data = plain.read_bytes()
        else:
            data = "".join(json.dumps(record) + "\n" for record in records).encode()
        path.write_bytes(gzip.compress(data) if kind.endswith(".gz") else data)
        return path

    return write


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., ExampleSet]:
    def read(*files: Path, **options: Any) -> ExampleSet:
        return read_examples(files, cache=tmp_path / "cache", **options)

    return read


def texts(example: Example) -> list[tuple[str, str]]:
    return [(document.title, document.text) for document in example.documents]


KINDS = ("parquet", "jsonl", "parquet.gz", "jsonl.gz")


@pytest.mark.parametrize("kind", KINDS)
def test_pairs(write: Write, read: Callable[..., ExampleSet], kind: str) -> None:
    examples = read(write([{"query": "q1", "positive": "d1", "title": "t1"}, {"query": "q2", "positive": "d2",
                                                                              "title": None}], kind))  # fmt: skip
    assert len(examples) == 2
    assert [e.query for e in examples] == ["q1", "q2"]
    assert texts(examples[0]) == [("t1", "d1")]
    assert texts(examples[-1]) == [("", "d2")]
    assert examples[0].scores is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "record",
    [
        {"query": "q", "positive": "p", "negatives": ["n1", "n2"]},
        {"anchor": "q", "positive": "p", "negative_1": "n1", "negative_2": "n2"},
        {"query": "q", "pos": ["p"], "neg": ["n1", "n2"]},
        {"question": "q", "positive": {"text": "p"}, "negatives": [{"text": "n1"}, {"text": "n2"}]},
    ],
)
def test_triples_in_every_spelling(
    write: Write, read: Callable[..., ExampleSet], kind: str, record: dict[str, Any]
) -> None:
    (example,) = read(write([record], kind))
    assert (example.query, texts(example)) == ("q", [("", "p"), ("", "n1"), ("", "n2")])


def test_several_positives_make_several_examples(write: Write, read: Callable[..., ExampleSet]) -> None:
    record = {"query": "q", "pos": ["p1", "p2"], "neg": ["n"], "pos_scores": [3, 2], "neg_scores": [1]}
    first, second = read(write([record], "jsonl"))
    assert texts(first) == [("", "p1"), ("", "n")]
    assert texts(second) == [("", "p2"), ("", "n")]
    assert (first.scores, second.scores) == ((3.0, 1.0), (2.0, 1.0))


def test_scored_lists_come_best_first(write: Write, read: Callable[..., ExampleSet]) -> None:
    (example,) = read(write([{"query": "q", "documents": ["a", "b", "c"], "scores": [0.5, 2.0, -1.0]}], "parquet"))
    assert [document.text for document in example.documents] == ["b", "a", "c"]
    assert example.scores == (2.0, 0.5, -1.0)


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_documents_and_queries_by_their_ids(
    write: Write, read: Callable[..., ExampleSet], tmp_path: Path, kind: str
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"_id": f"d{i}", "title": f"t{i}", "text": f"x{i}"}) + "\n" for i in range(9)))
    queries = tmp_path / "queries.tsv"
    queries.write_text("7\tseven\n8\teight\n")
    records = [
        {"query_id": 7, "doc_ids": ["d3", "d5"], "scores": [1.0, 2.0]},
        {"query_id": 8, "doc_ids": ["d1", "gone"], "scores": [1.0, 0.0]},
    ]
    examples = read(write(records, kind), corpus=[corpus], queries=queries)
    assert [e.query for e in examples] == ["seven", "eight"]
    assert [d.doc_id for d in examples[0].documents] == ["d5", "d3"]
    assert texts(examples[0]) == [("t5", "x5"), ("t3", "x3")]
    assert examples[1].scores == (1.0,)
    assert examples.report.n_missing_documents == 1
    assert "'gone'" in examples.report.summary()[1]


def test_a_beir_folder_with_a_split(read: Callable[..., ExampleSet], tmp_path: Path) -> None:
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    (beir / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": str(i), "title": "", "text": f"text {i}"}) + "\n" for i in range(5))
    )
    (beir / "queries.jsonl").write_text('{"_id": "a", "text": "qa"}\n{"_id": "b", "text": "qb"}\n')
    (beir / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\na\t1\t2\na\t3\t0\na\t2\t1\nb\t4\t1\n")
    examples = read(beir, split="dev")
    found = [(e.query, [d.doc_id for d in e.documents]) for e in examples]
    assert found == [("qa", ["1", "3"]), ("qa", ["2", "3"]), ("qb", ["4"])]
    with pytest.raises(LsrError, match="no split 'train'"):
        read(beir)


def test_empty_texts_are_counted_and_left_out(write: Write, read: Callable[..., ExampleSet]) -> None:
    records = [
        {"query": " ", "positive": "p", "negatives": ["n"]},
        {"query": "q", "positive": None, "negatives": ["n"]},
        {"query": "q", "positive": "p", "negatives": ["", "n", None]},
    ]
    for kind in ("jsonl", "parquet"):
        path = write(records, kind)
        examples = read(path)
        assert [texts(e) for e in examples] == [[("", "p"), ("", "n")]]
        report = examples.report
        assert (report.n_empty_queries, report.n_empty_positives, report.n_empty_negatives) == (1, 1, 2)
        assert report.first_left_out.startswith(f"{path}, ")
        with pytest.raises(BadDocumentError, match=r"(row|line) 1: the query is empty"):
            read(path, empty="refuse")


def test_scores_stay_with_their_documents_when_some_are_left_out(write: Write, read: Callable[..., ExampleSet]) -> None:
    (example,) = read(write([{"query": "q", "positive": "p", "negatives": ["", "n"], "scores": [3, 2, 1]}], "jsonl"))
    assert example.scores == (3.0, 1.0)


def test_only_so_many_negatives(write: Write, read: Callable[..., ExampleSet]) -> None:
    path = write([{"query": "q", "positive": "p", "negatives": ["a", "b", "c"]}], "jsonl")
    assert [len(read(path, max_negatives=n)[0].documents) for n in (0, 2, 9)] == [1, 3, 4]


def test_the_same_text_has_the_same_id(write: Write, read: Callable[..., ExampleSet]) -> None:
    records = [{"query": "q", "positive": "same", "negatives": ["other"]}, {"query": "r", "positive": "same",
                                                                           "negatives": ["same"]}]  # fmt: skip
    first, second = read(write(records, "jsonl"))
    ids = [d.doc_id for e in (first, second) for d in e.documents]
    assert ids[0] == ids[2] == ids[3] != ids[1]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text": "q", "positive": "p"}, "no column with the query: its columns are text, positive; expected are"),
        ({"query": "q"}, "no column with the positive document"),
        ({"query": "q", "documents": ["a"]}, "'documents' without 'scores'"),
        ({"query": "q", "doc_ids": ["a"], "scores": [1.0]}, "documents by ids only: name the corpus"),
        ({"query_id": "1", "positive": "p"}, "queries by 'query_id' only: name the file"),
        ({"query": 3, "positive": "p"}, "'query'.*(int64; texts were|is 3; a text was) expected"),
        ({"query": "q", "positive": [1.5]}, "'positive'.*(list<element: double>|1.5)"),
        (
            {"query": "q", "documents": ["a", "b"], "scores": [1.0]},
            r"(row|line) 1: 1 scores in 'scores' for 2 documents",
        ),
        ({"query": "q", "documents": ["a"], "scores": [float("nan")]}, "(row|line) 1: 'scores' holds nan; finite"),
        ({"query": "q", "positive": {"body": "x"}}, "'positive' holds an object of body; a 'text' was expected"),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_what_does_not_fit_is_named(
    write: Write, read: Callable[..., ExampleSet], kind: str, record: dict[str, Any], message: str
) -> None:
    path = write([record], kind)
    with pytest.raises(BadDocumentError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_bad_line_far_down_is_named(read: Callable[..., ExampleSet], tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    good = '{"query": "q", "positive": "p"}\n'
    for line, message in (("{", "broken JSON"), ("[1]", "a JSON object was expected"), ('{"query": "q"}', "no column")):
        path.write_text(good * 1500 + line + "\n")
        with pytest.raises(BadDocumentError, match=rf"line 1,501: .*{message}"):
            read(path)


def test_files_that_cannot_be_read(read: Callable[..., ExampleSet], tmp_path: Path) -> None:
    with pytest.raises(LsrError, match="no such file"):
        read(tmp_path / "nowhere.parquet")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 this is none")
    with pytest.raises(LsrError, match="damaged or cut off"):
        read(broken)
    other = tmp_path / "data.txt"
    other.write_text("q\tp\n")
    with pytest.raises(UsageError, match=r"read from .parquet, .jsonl"):
        read(other)
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(LsrError, match="no example in"):
        read(empty)
    with pytest.raises(UsageError, match="drop or refuse"):
        read(empty, empty="keep")


def test_nothing_is_left_of_a_reading_that_failed(
    write: Write, read: Callable[..., ExampleSet], tmp_path: Path
) -> None:
    path = write([{"query": "q", "positive": "p"}] * 3000 + [{"query": "q", "positive": 1}], "jsonl")
    with pytest.raises(BadDocumentError):
        read(path)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_changed_file_is_read_again_and_its_old_table_goes(
    write: Write, read: Callable[..., ExampleSet], tmp_path: Path
) -> None:
    before = read(write([{"query": "old", "positive": "p"}], "jsonl"))
    after = read(write([{"query": "new one", "positive": "p"}], "jsonl"))
    assert (before[0].query, after[0].query) == ("old", "new one")
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_several_files_follow_one_another_and_travel_between_processes(
    write: Write, read: Callable[..., ExampleSet]
) -> None:
    one = write([{"query": f"a{i}", "positive": "p"} for i in range(1025)], "parquet")
    two = write([{"query": f"b{i}", "positive": "p"} for i in range(3)], "jsonl")
    examples = pickle.loads(pickle.dumps(read(one, two)))
    assert len(examples) == 1028
    assert [examples[i].query for i in (0, 1023, 1024, 1025, 1027, -1)] == ["a0", "a1023", "a1024", "b0", "b2", "b2"]
    with pytest.raises(IndexError):
        examples[1028]


def test_many_pairs_are_read_once_and_mapped(shared: Path, tmp_path: Path) -> None:
    pairs = shared / "data" / "train" / "pairs.parquet"
    examples = read_examples([pairs], cache=tmp_path)
    assert len(examples) == pq.read_metadata(pairs).num_rows
    assert examples[0].documents[0].title == examples[0].query
    (table,) = tmp_path.iterdir()
    written = {path.name: path.stat().st_mtime_ns for path in table.iterdir()}
    again = read_examples([pairs], cache=tmp_path)
    assert again[len(again) - 1] == examples[len(examples) - 1]
    assert {path.name: path.stat().st_mtime_ns for path in table.iterdir()} == written


def test_a_cache_that_cannot_be_written_is_named(write: Write, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LsrError, match=r"can't keep prepared data there .* set LSR_CACHE"):
        read_examples([write([{"query": "q", "positive": "p"}], "jsonl")], cache=tmp_path / "file" / "cache")


def test_a_document_that_examples_share_is_kept_once(write: Write, read: Callable[..., ExampleSet]) -> None:
    records = [{"query": f"q{i}", "positive": f"p{i}", "negatives": [f"p{(i + 1) % 5}", "n"]} for i in range(5)]
    examples = read(write(records, "jsonl"))
    assert len(list(examples.documents())) == 6


def test_more_documents_than_are_remembered_are_all_read(
    write: Write, read: Callable[..., ExampleSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsr.training.data.sources.importer.MAX_REMEMBERED", 3)
    records = [{"query": f"q{i}", "positive": f"p{i % 7}", "negatives": [f"p{(i + 1) % 7}"]} for i in range(50)]
    for i, example in enumerate(read(write(records, "jsonl"))):
        assert [document.text for document in example.documents] == [f"p{i % 7}", f"p{(i + 1) % 7}"]
