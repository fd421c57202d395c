"""`lsr search`: one query to read or as JSON, a file of queries to a run, an index found from below its folder."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from lsr.encoders.registry import load_encoder
from lsr.eval.data.runs import read_run
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import _canonical
from lsr.query.searcher import Searcher

Lsr = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, bm25_index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with an index."""
    shutil.copytree(bm25_index, tmp_path / ".lsr")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_hits_to_read(lsr: Lsr) -> None:
    done = lsr("search", "sleeping cats", "--no-locate")
    first, second = Searcher(".lsr").search("sleeping cats")
    assert done.code == 0 and done.lines == [
        f"  1  On cats{' ' * 83}{first.score:.3f}",
        "     cats",
        "     A cat sleeps most of the day. Cats purr when they sleep well.",
        "",
        f"  2  On dogs{' ' * 83}{second.score:.3f}",
        "     dogs",
        "     A dog guards the house. Dogs chase cats.",
        "",
    ]
    assert done.err.startswith("the best 2 of 4 documents, in ") and done.err.endswith(" ms\n")


def test_a_text_without_a_title_is_headed_by_its_first_words(lsr: Lsr) -> None:
    done = lsr("search", "wood", "--no-locate")
    assert done.lines[0].startswith("  1  Trees grow slowly, and a house of their wood lasts.  ")
    assert done.lines[1:] == ["     trees", ""]


def test_json_has_an_object_a_hit(lsr: Lsr, documents: Any) -> None:
    done = lsr("search", "house", "--json", "-k", "1", "--no-locate")
    (score,) = (hit.score for hit in Searcher(".lsr").search("house", k=1))
    assert done.objects == [
        {"rank": 1, "doc_id": "trees", "score": score, "title": "", "text": documents[2]["text"], "fields": {}}
    ]
    assert list(done.objects[0]) == ["rank", "doc_id", "score", "title", "text", "fields"] and done.err == ""
    (located,) = lsr("search", "house", "--json", "-k", "1").objects
    assert located == done.objects[0] | {"path": located["path"], "line": 3}
    assert located["path"].endswith("/corpus.jsonl")


def test_nothing_found_is_no_failure(lsr: Lsr) -> None:
    for query in ("zebra", "the", "?!", "日本"):
        done = lsr("search", query)
        assert (done.code, done.out) == (0, "")
        assert done.err == "lsr: nothing found: no document holds a term of the query (searched 4)\n"
        assert (lsr("search", query, "--json").code, lsr("search", query, "--json").out) == (0, "")


@pytest.mark.parametrize("option", ["--where", "--filter"])
def test_a_filter_that_nothing_fits_is_named(lsr: Lsr, option: str) -> None:
    for query in ("house", "zebra"):
        done = lsr("search", query, option, "doc_id == 'nope'")
        assert (done.code, done.out) == (0, "")
        assert done.err == "lsr: nothing found: no document fits \"doc_id == 'nope'\"\n"
    done = lsr("search", "zebra", option, "doc_id != 'nope'")
    assert done.err == "lsr: nothing found: no document holds a term of the query (searched 4)\n"


def test_an_index_without_documents_is_named(lsr: Lsr) -> None:
    for document in lsr("list", "--json").objects:
        assert lsr("delete", document["doc_id"]).code == 0
    assert lsr("search", "house").err == "lsr: nothing found: the index holds no document\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["cat", "-k", "0"], "-k is 0; it must be at least 1"),
        (["cat", "-k", "-3"], "-k is -3; it must be at least 1"),
        ([""], "the query is empty; give at least one word"),
        ([" \n"], "the query is empty"),
        ([], "give one QUERY, or --queries FILE"),
        (["cat", "--queries", "q.tsv"], "give one QUERY, or --queries FILE"),
        (["cat", "--run", "out.trec"], "--run goes with --queries FILE"),
        (["cat", "--encoded"], "--encoded goes with --queries FILE"),
    ],
)
def test_arguments_that_do_not_fit(lsr: Lsr, args: list[str], message: str) -> None:
    done = lsr("search", *args)
    assert (done.code, done.out) == (2, "") and done.err.startswith(f"lsr: {message}")


def test_two_words_without_quotes_are_a_matter_of_usage(lsr: Lsr) -> None:
    assert lsr("search", "two", "words").code == 2
    assert lsr("search", "cat", "-k", "many").code == 2


def test_more_results_than_documents(lsr: Lsr) -> None:
    assert len(lsr("search", "house cat", "-k", "1000000", "--json").lines) == 3


def test_the_index_is_found_in_a_folder_above(here: Path, lsr: Lsr, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = here / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert len(lsr("search", "cat", "--json").lines) == 2
    assert f"index          {here / '.lsr'}" in lsr("stats").out
    shutil.rmtree(here / ".lsr")
    done = lsr("search", "cat")
    assert done.code == 3 and done.err.startswith(f"lsr: no index here: neither {inner} nor a folder above it has .lsr")


def test_an_index_that_is_missing_or_damaged(here: Path, lsr: Lsr) -> None:
    done = lsr("search", "cat", "--index", "nowhere")
    assert done.code == 3 and done.err == "lsr: no index at nowhere: make one with 'lsr index CORPUS --index nowhere'\n"
    done = lsr("search", "cat", "--index", ".")
    assert done.code == 3 and done.err == "lsr: no index at ., but there is one in it: --index .lsr\n"
    (here / ".lsr" / "manifest-00000001.json").write_text("{}")
    done = lsr("search", "cat")
    assert done.code == 3 and "not a manifest of this program" in done.err


def test_an_index_of_another_analyser_is_refused(here: Path, lsr: Lsr) -> None:
    path = here / ".lsr" / "manifest-00000001.json"
    content = json.loads(path.read_text())
    del content["crc32"]
    content["encoder"]["revision"] = "older"
    content["crc32"] = zlib.crc32(_canonical(content))
    path.write_bytes(_canonical(content))
    done = lsr("search", "cat")
    assert done.code == 1 and "the index was made with another word analyser: index the corpus again" in done.err


QUERIES = {"q1": "cats that sleep", "q2": "zebra", "q3": "a house"}


def query_file(name: str) -> Path:
    """Write the queries in the form that a file's name asks for."""
    path = Path(name)
    if ".jsonl" in path.suffixes:
        text = "".join(json.dumps({"_id": i, "text": q, "metadata": {}}) + "\n" for i, q in QUERIES.items())
    elif name.startswith("tokens"):
        text = "q1\tcat sleep\nq2\tzebra\nq3\thous\n"
    else:
        text = "".join(f"{i}\t{q}\n" for i, q in QUERIES.items())
    if path.suffix == ".parquet":
        rows = {"q1": ["cat", "sleep"], "q2": ["zebra"], "q3": ["hous"]}
        table = {"id": list(rows), "terms": list(rows.values()), "weights": [[1.0] * len(row) for row in rows.values()]}
        pq.write_table(pa.table(table), path)
    else:
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


NAMES = ["q.jsonl", "q.jsonl.gz", "q.tsv", "q.txt", "q.tsv.gz", "tokens.tsv", "tokens.tsv.gz", "q.parquet"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_queries_becomes_a_run(lsr: Lsr, name: str) -> None:
    encoded = ["--encoded"] if name.startswith("tokens") else []
    done = lsr("search", "--queries", query_file(name), "--run", "out/run.trec", "--tag", "mine", *encoded)
    assert (done.code, done.out) == (0, "") and "3 queries in " in done.err
    lines = [line.split() for line in Path("out/run.trec").read_text().splitlines()]
    assert [(line[0], line[2], line[3]) for line in lines] == [
        ("q1", "cats", "1"), ("q1", "dogs", "2"), ("q3", "trees", "1"), ("q3", "dogs", "2"),
    ]  # fmt: skip
    assert {(line[1], line[5]) for line in lines} == {("Q0", "mine")}
    for (_, hits), text in zip(
        itertools.groupby(lines, lambda line: line[0]), ("cats that sleep", "a house"), strict=True
    ):
        scores = [float(line[4]) for line in hits]
        assert scores == pytest.approx([hit.score for hit in Searcher(".lsr").search(text)], rel=1e-6)


def test_scores_of_a_run_strictly_decrease_though_documents_tie(lsr: Lsr, tmp_path: Path, jsonl: Any) -> None:
    jsonl(tmp_path / "ties.jsonl", [{"_id": f"d{i}", "text": "the same words"} for i in range(200)])
    Path("q.tsv").write_text("q\tsame words\n")
    assert lsr("index", "ties.jsonl", "--index", "ties").code == 0
    assert lsr("search", "--index", "ties", "--queries", "q.tsv", "--run", "run.trec", "-k", "150").code == 0
    lines = [line.split() for line in Path("run.trec").read_text().splitlines()]
    assert [line[2] for line in lines] == [f"d{i}" for i in range(150)]
    scores = [float(line[4]) for line in lines]
    assert all(later < earlier for earlier, later in itertools.pairwise(scores))
    assert len(read_run(Path("run.trec"))["q"]) == 150


def test_without_a_run_the_hits_of_all_queries_are_printed_as_json(lsr: Lsr) -> None:
    done = lsr("search", "--queries", query_file("q.tsv"), "-k", "1", "--threads", "2")
    assert [(hit["query_id"], hit["rank"], hit["doc_id"]) for hit in done.objects] == [
        ("q1", 1, "cats"),
        ("q3", 1, "trees"),
    ]
    assert list(done.objects[0]) == ["query_id", "rank", "doc_id", "score", "title", "text", "fields"]


def test_unknown_terms_of_encoded_queries_are_counted(lsr: Lsr) -> None:
    done = lsr("search", "--queries", query_file("q.parquet"))
    assert done.code == 0 and "lsr: 1 term of the queries not in the index: nothing is found by them" in done.err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.jsonl", '{"_id": "q1", "text": "cat"}\n{broken\n', "q.jsonl:2: broken JSON"),
        ("q.jsonl", '{"_id": "q1"}\n{"text": "x"}\n', "'_id' is None"),
        ("q.tsv", "q1 cat\n", "q.tsv:1: not a query: expected query_id TAB text"),
        ("q.tsv", "q1\tcat\nq1\tdog\n", "the query id 'q1' is there a second time"),
        ("q.tsv", "", "no queries in the file"),
        ("nowhere.tsv", None, "nowhere.tsv: No such file"),
    ],
)
def test_a_file_of_queries_that_is_none(lsr: Lsr, name: str, content: str | None, message: str) -> None:
    if content is not None:
        Path(name).write_text(content)
    done = lsr("search", "--queries", name, "--run", "run.trec")
    assert (done.code, done.out) == (1, "") and message in done.err and len(done.err.splitlines()) == 1
    assert not Path("run.trec").exists()


def test_a_run_that_cannot_be_written(lsr: Lsr) -> None:
    done = lsr("search", "--queries", query_file("q.tsv"), "--run", ".lsr/writer.lock/run.trec")
    assert done.code == 1 and "can't be written: File exists" in done.err


def test_an_index_of_ready_vectors_takes_no_text(tmp_path: Path, lsr: Lsr) -> None:
    pq.write_table(pa.table({"id": ["a"], "terms": [["x"]], "weights": [[3]]}), "vectors.parquet")
    assert lsr("index", "--vectors", "vectors.parquet", "--index", "ready").code == 0
    done = lsr("search", "x", "--index", "ready")
    assert done.code == 2 and "so it takes encoded queries: --queries FILE" in done.err


def test_an_inference_free_model_is_searched_by_its_table(
    tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any, router: Path
) -> None:
    jsonl(tmp_path / "corpus.jsonl", documents)
    assert lsr("index", "corpus.jsonl", "--index", "free", "--encoder", router).code == 0
    index = StoredIndex.open("free")
    assert index.manifest.encoder["query_side"] == "table"
    encoder = load_encoder(router)
    mine = Searcher(index).search(["cats chase the dog", "the", "house"])
    theirs = Searcher(index, encoder=encoder).search(["cats chase the dog", "the", "house"])
    assert mine == theirs and mine[0] and len(mine[1]) == 0
    (row,) = encoder.encode_queries(["cats chase the dog"])
    assert {encoder.terms[i]: round(float(w), 3) for i, w in zip(*row, strict=True)} == {
        "cat": 1.6, "##s": 1.7, "chase": 1.9, "dog": 1.8,
    }  # fmt: skip
    assert [hit["doc_id"] for hit in lsr("search", "house", "--index", "free", "--json").objects] == [
        hit.doc_id for hit in mine[2]
    ]


def test_a_model_that_changed_since_is_refused(
    tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any, masked_lm: Path
) -> None:
    model = Path(shutil.copytree(masked_lm, tmp_path / "model"))
    jsonl(tmp_path / "corpus.jsonl", documents)
    assert lsr("index", "corpus.jsonl", "--index", "made", "--encoder", model).code == 0
    assert lsr("search", "cat", "--index", "made").code == 0
    weights = load_file(model / "model.safetensors")
    save_file({name: values + 1 for name, values in weights.items()}, model / "model.safetensors", {"format": "pt"})
    done = lsr("search", "cat", "--index", "made")
    assert done.code == 1 and "the index was built with encoder" in done.err and "index the corpus again" in done.err
    shutil.rmtree(model)
    done = lsr("search", "cat", "--index", "made")
    assert done.code == 1 and len(done.err.splitlines()) == 1 and str(model) in done.err


def test_what_stands_in_documents_gives_no_orders_to_a_terminal(tmp_path: Path, lsr: Lsr, jsonl: Any) -> None:
    evil = "\x1b]0;title\x07\x1b[2Jcat\x9b31m\u202ecat\x00 \r\n over"
    jsonl(tmp_path / "evil.jsonl", [{"_id": "a\x1b[1m", "title": evil, "text": evil * 3}, {"_id": "b", "text": evil}])
    assert lsr("index", "evil.jsonl", "--index", "evil").code == 0
    for args in (["search", "cat"], ["search", "cat", "--json"]):
        done = lsr(*args, "--index", "evil")
        assert done.code == 0 and done.lines
        for character in "\x1b\x07\x9b\x00\r":
            assert character not in done.out
    assert "\u202e" not in lsr("search", "cat", "--index", "evil").out
    texts = {hit["doc_id"]: hit["title"] for hit in lsr("search", "cat", "--json", "--index", "evil").objects}
    assert "\x9b" in texts["a\x1b[1m"]  # the data is whole, only written otherwise
