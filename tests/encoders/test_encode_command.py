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


def test_settings_of_encoding_are_those_of_the_index_and_of_what_is_added(lsr, corpus, plain_folder, tmp_path):
    out, index = tmp_path / "vectors", tmp_path / "index"
    settings = ["--family", "splade-doc", "--top-k", 3, "--threshold", 0.5, "--words", 4]
    assert lsr("encode", corpus, "--encoder", plain_folder, "--out", out, "--overlap", 8, *settings)[0] == 0
    shard = out / "shard-000000.parquet"
    # Without a word about them, they are taken from beside the vectors; so are those of passages.
    assert lsr("index", "--vectors", shard, "--encoder", plain_folder, "--index", index)[0] == 0
    manifest = json.loads(next(index.glob("manifest*.json")).read_text())
    recorded = manifest["encoder"]
    assert recorded["kind"] == "splade-doc" and recorded["settings"]["document"]["pruning"] == {
        "top_k": 3, "threshold": 0.5,
    }  # fmt: skip
    assert recorded["settings"]["words"]["config"]["weight"] == 4
    assert manifest["passages"] == {"max_length": 64, "overlap": 8}
    (tmp_path / "more.txt").write_text("cat cat dog")
    code, _, err = lsr("add", tmp_path / "more.txt", "--index", index)
    assert code == 0, err
    # The same settings again are fine, others are refused.
    again = ["index", "--vectors", shard, "--encoder", plain_folder, "--index", tmp_path / "again"]
    assert lsr(*again, *settings)[0] == 0
    code, _, err = lsr(*again, *settings[:2], "--top-k", 5, "--overwrite")
    assert code == 1 and "with document.pruning.top_k 3" in err and "has 5: give the same, or encode again" in err


def test_vectors_of_another_model_are_refused(lsr, corpus, plain_folder, router_folder, tmp_path):
    for name, folder in (("one", plain_folder), ("other", router_folder)):
        assert lsr("encode", corpus, "--encoder", folder, "--out", tmp_path / name, "--no-passages")[0] == 0
    one, other = (tmp_path / name / "shard-000000.parquet" for name in ("one", "other"))
    code, _, err = lsr("index", "--vectors", one, "--encoder", router_folder, "--index", tmp_path / "index")
    assert code == 1 and "the vectors were encoded by" in err and "encode.json" in err
    code, _, err = lsr("index", "--vectors", one, other, "--encoder", plain_folder, "--index", tmp_path / "index")
    assert code == 1 and "the vectors were encoded by" in err
    assert lsr("index", "--vectors", one, "--encoder", plain_folder, "--index", tmp_path / "index")[0] == 0
    code, _, err = lsr("update", "--vectors", other, "--index", tmp_path / "index")
    assert code == 1 and "but the index" in err
    code, _, err = lsr("index", "--vectors", one, "--index", tmp_path / "ready")
    assert code == 0 and f"with --encoder {plain_folder} the index takes queries as text" in err
    code, _, err = lsr("index", "--vectors", one, "--index", tmp_path / "ready", "--top-k", 3, "--overwrite")
    assert code == 2 and "--top-k is of a model: name it by --encoder" in err


def test_index_and_eval_take_the_settings_of_a_model(lsr, corpus, plain_folder, tmp_path, tiny):
    index = tmp_path / "index"
    options = ["--family", "splade-doc", "--top-k", 2, "--words", 3, "--no-passages"]
    assert lsr("index", corpus, "--encoder", plain_folder, "--index", index, *options)[0] == 0
    code, text, _ = lsr("search", "cat", "--index", index, "--explain", "--json")
    assert code == 0 and "=cat" in text
    (tmp_path / "more.txt").write_text("cat cat dog")
    assert lsr("add", tmp_path / "more.txt", "--index", index)[0] == 0
    code, _, err = lsr("index", corpus, "--encoder", "bm25", "--index", tmp_path / "words", "--top-k", 3)
    assert code == 2 and "top_k" in err
    beir = tmp_path / "set"
    (beir / "qrels").mkdir(parents=True)
    (beir / "corpus.jsonl").write_text(corpus.read_text())
    (beir / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "cat"}) + "\n")
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t1\t1\n")
    code, text, err = lsr(
        "eval", beir, "--encoder", "bm25", plain_folder, "--family", "splade-doc", "--cache", tmp_path / "cache"
    )
    assert code == 0, err
    code, _, err = lsr("eval", beir, "--encoder", "bm25", "--family", "splade-doc")
    assert code == 2 and "--family is of a model, but bm25 is none" in err


def test_words_of_a_model_can_be_left_out(lsr, corpus, plain_folder, tmp_path):
    from lsr.encoders.registry import load_encoder

    with_words = load_encoder(plain_folder, words=2.5)
    assert with_words.description["settings"]["words"]["config"]["weight"] == 2.5
    assert "words" not in load_encoder(plain_folder, words=0).description["settings"]
    german = load_encoder(plain_folder, words=2.5, language="german")
    assert german.description["settings"]["words"]["config"]["stemmer"] == "german"


def test_options_without_effect_are_said(lsr, corpus, plain_folder, tmp_path):
    code, _, err = lsr("index", corpus, "--encoder", "bm25", "--index", tmp_path / "words", "--dtype", "int8")
    assert code == 0 and "--dtype has no effect with bm25, which counts words" in err
    assert lsr("encode", corpus, "--encoder", plain_folder, "--out", tmp_path / "out", "--no-passages")[0] == 0
    shard = tmp_path / "out" / "shard-000000.parquet"
    code, _, err = lsr(
        "index", "--vectors", shard, "--index", tmp_path / "ready", "--skip-bad", "--text", "body", "--device", "cpu"
    )
    assert code == 0
    for option in ("--skip-bad", "an option of reading files", "--device"):
        assert f"{option} has no effect" in err
