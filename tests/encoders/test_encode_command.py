"""`lsr encode` as a person runs it."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from lsr.cli.main import main


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.jsonl"
    rows = [("1", "the cat sat"), ("2", ""), ("3", "sparse retrieval index . " * 40)]
    path.write_text("".join(json.dumps({"_id": i, "text": text}) + "\n" for i, text in rows))
    return path


@pytest.fixture
def lsr(capsys):
    def run(*args):
        code = main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_encode_then_index_then_search(lsr, corpus, router_folder, tmp_path):
    out, index = tmp_path / "vectors", tmp_path / "index"
    code, text, _ = lsr("encode", corpus, "--encoder", router_folder, "--out", out)
    assert code == 0 and text.startswith("encoded 6 passages in ") and " into 1 files of " in text
    code, text, err = lsr("encode", corpus, "--encoder", router_folder, "--out", out, "--json")
    assert code == 0 and json.loads(text)["resumed"] == json.loads(text)["passages"] == 6
    assert "read all 163 tokens of 3 documents, 1 longer than 64 tokens, in passages: 3 more texts" in err
    shard = out / "shard-000000.parquet"
    assert lsr("index", "--vectors", shard, "--encoder", router_folder, "--index", index)[0] == 0
    code, text, _ = lsr("search", "cat sat dog mat walk learn tree sparse retrieval index", "--index", index, "--json")
    assert code == 0 and {json.loads(line)["doc_id"] for line in text.splitlines()} == {"1", "3"}


def test_pruned_passages_without_text(lsr, corpus, plain_folder, tmp_path):
    code, text, _ = lsr(
        "encode", corpus, "--encoder", plain_folder, "--out", tmp_path / "out", "--passages", "--overlap", 8,
        "--top-k", 2, "--no-text", "--family", "splade-doc", "--max-length", 30, "--json",
    )  # fmt: skip
    assert code == 0 and json.loads(text)["passages"] > 3
    table = pq.read_table(tmp_path / "out" / "shard-000000.parquet").to_pydict()
    assert list(table) == ["id", "terms", "weights"]
    assert table["id"][:3] == ["1", "2", "3"] and all(len(terms) <= 2 for terms in table["terms"])


@pytest.mark.parametrize("options", [["--no-text"], ["--no-passages"], ["--dense", "--no-passages"]])
def test_a_row_a_document_where_passages_are_not_wanted(lsr, corpus, plain_folder, tmp_path, options):
    family = [] if "--dense" in options else ["--family", "splade-doc"]
    code, text, err = lsr("encode", corpus, "--encoder", plain_folder, "--out", tmp_path / "out", *family, *options)
    assert code == 0 and text.startswith("encoded 3 documents in ")
    assert pq.read_table(tmp_path / "out" / "shard-000000.parquet")["id"].to_pylist() == ["1", "2", "3"]
    limit = "1 of them to the limit of 64 tokens only; --passages reads them whole"
    assert f"read 65 of 163 tokens (40 %) of 3 documents, {limit}" in err


def test_dense_vectors(lsr, corpus, plain_folder, tmp_path):
    code, _, _ = lsr("encode", corpus, "--encoder", plain_folder, "--dense", "--out", tmp_path / "out")
    assert code == 0
    assert len(pq.read_table(tmp_path / "out" / "shard-000000.parquet")["vector"][0]) == 32


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--encoder", "bm25"], 2, "index the corpus instead"),
        (["--encoder", "bm25", "--overlap", "4"], 2, "--overlap and --passage-length go with --passages"),
        (["--encoder", "nothing-such"], 1, "no encoder 'nothing-such'"),
        (["--encoder", "nothing-such", "--dense", "--top-k", "3"], 2, "for sparse models"),
    ],
)
def test_mistakes_are_named_in_one_line(lsr, corpus, tmp_path, options, code, message):
    found, out, err = lsr("encode", corpus, "--out", tmp_path / "out", *options)
    assert found == code and out == ""
    assert message in err and err.count("\n") == 1
