"""Searches with a second leg as a person runs them: rerankers, a server, dense legs of sparse models, sparse codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.cli.main import main
from lsr.indexer.storage.index import StoredIndex
from lsr.query.hybrid.settings import Hybrid
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher

if TYPE_CHECKING:
    from starlette.testclient import TestClient

Lsr = Callable[..., Any]


@pytest.fixture(scope="session")
def dense_index(tmp_path_factory: pytest.TempPathFactory, masked_lm: Path, documents: Any, jsonl: Any) -> Path:
    """An index of the four documents with dense vectors of a tiny model."""
    folder = tmp_path_factory.mktemp("dense")
    corpus = jsonl(folder / "corpus.jsonl", documents)
    args = ["index", corpus, "--index", folder / "index", "--encoder", "bm25", "--dense", masked_lm]
    assert main([str(arg) for arg in args]) == 0
    return folder / "index"


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory, masked_lm: Path) -> Path:
    """A cross-encoder of random weights."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(4)
    config = BertConfig.from_pretrained(masked_lm, num_labels=1)
    BertForSequenceClassification(config).eval().save_pretrained(folder)
    AutoTokenizer.from_pretrained(masked_lm).save_pretrained(folder)
    return folder


def test_rerankers_say_who_they_are_and_both_scores(lsr: Lsr, dense_index: Path, classifier: Path) -> None:
    search = ["search", "cats sleep", "--index", dense_index, "--json"]
    plain = {hit["doc_id"]: hit["score"] for hit in lsr(*search).objects}
    for name, leg in (("late-interaction", "late-interaction"), (f"cross-encoder:{classifier}", "cross-encoder")):
        done = lsr(*search, "--rerank", name)
        assert done.code == 0, done.err
        assert {hit["doc_id"]: hit["legs"]["sparse"]["score"] for hit in done.objects} == plain
        assert sorted(hit["legs"][leg]["rank"] for hit in done.objects) == list(range(1, len(plain) + 1))
        alone = lsr(*search, "--rerank", name, "--weights", "0", "1").objects
        assert [hit["legs"][leg]["rank"] for hit in alone] == list(range(1, len(plain) + 1))
        *hits, facts = lsr(*search, "--rerank", name, "--explain").objects
        assert facts["engine"]["rerank_us"] > 0 and all(leg in hit["legs"] for hit in hits)
        shown = lsr("search", "cats sleep", "--index", dense_index, "--rerank", name)
        assert f"{leg}: " in shown.out


def test_a_file_of_queries_is_reranked(lsr: Lsr, dense_index: Path, tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("q1\tcats sleep\nq2\ta house\n")
    options = ["--index", dense_index, "--rerank", "late-interaction"]
    done = lsr("search", "--queries", tmp_path / "q.tsv", *options)
    one = lsr("search", "a house", *options, "--json", "--no-locate").objects
    assert [hit for hit in done.objects if hit["query_id"] == "q2"] == [{"query_id": "q2", **hit} for hit in one]
    assert lsr("search", "--queries", tmp_path / "q.tsv", *options, "--run", tmp_path / "r.trec").code == 0


@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (
            ["--rerank", "magic"],
            2,
            "no reranker 'magic': there are dense, late-interaction[:MODEL], slim[:MODEL], cross-encoder",
        ),
        (["--rerank", "cross-encoder"], 2, "a cross-encoder is a model: name its folder"),
        (["--rerank", "cross-encoder:/nowhere"], 1, "no model folder /nowhere"),
        (["--rerank", "cross-encoder:{masked_lm}"], 1, "has no sequence-classification head that fits"),
        (["--rerank", "late-interaction", "--hybrid", "union"], 2, "a reranker goes with rerank"),
        (
            ["--rerank", "late-interaction", "--candidates", "3"],
            2,
            "candidates is 3; it must be a whole number from 10",
        ),
        (["--candidates", "30"], 2, "candidates goes with hybrid or rerank"),
    ],
)
def test_bad_rerankers_are_refused(
    lsr: Lsr, dense_index: Path, masked_lm: Path, args: list[str], code: int, error: str
) -> None:
    done = lsr("search", "cats", "--index", dense_index, *(arg.format(masked_lm=masked_lm) for arg in args))
    assert done.code == code and error in done.err and not done.out


def test_without_dense_vectors_late_interaction_asks_for_a_model(lsr: Lsr, bm25_index: Path, masked_lm: Path) -> None:
    refused = lsr("search", "cats", "--index", bm25_index, "--rerank", "late-interaction")
    assert refused.code == 2 and "name one, as late-interaction:all-MiniLM-L6-v2" in refused.err
    named = lsr("search", "cats", "--index", bm25_index, "--rerank", f"late-interaction:{masked_lm}", "--json")
    assert named.code == 0 and named.objects[0]["legs"]["late-interaction"]["score"] <= 1


Serve = Callable[..., "TestClient"]


def ask(client: TestClient, **fields: Any) -> tuple[int, Any]:
    answer = client.get("/search", params=fields)
    return answer.status_code, answer.json()


@pytest.fixture
def serve() -> Serve:
    pytest.importorskip("fastapi", reason="lsr-search[serve] isn't installed")
    from starlette.testclient import TestClient

    from lsr.server.app import make_app
    from lsr.server.served_index import ServedIndex, ServedIndexes
    from lsr.server.settings import ServerSettings

    def start(path: Path, **options: Any) -> TestClient:
        indexes = ServedIndexes([ServedIndex("one", Searcher(path, options=SearchOptions.of(**options)))])
        app = make_app(indexes, ServerSettings())
        return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)

    return start


def test_a_server_searches_hybrid_where_asked_to(serve: Serve, dense_index: Path) -> None:
    plain, always = serve(dense_index), serve(dense_index, hybrid="rerank", fuser="rrf")
    for mode in ("rerank", "union"):
        expected = Searcher(dense_index).search("cats sleep", k=3, hybrid=Hybrid(mode=mode))
        status, found = ask(plain, q="cats sleep", k=3, hybrid=mode)
        assert status == 200 and [hit["score"] for hit in found["hits"]] == [hit.score for hit in expected]
        assert {"sparse", "dense", "neighbours"} == set(found["hits"][0]["legs"])
        status, found = ask(always, q="cats sleep", k=3, hybrid=mode, explain=1)
        assert found["hits"][0]["score"] < 0.1 and found["engine"]["rerank_us"] > 0  # rrf's scores are small
    assert "legs" not in ask(plain, q="cats sleep")[1]["hits"][0]
    assert "legs" in ask(always, q="cats sleep")[1]["hits"][0]
    assert "legs" not in ask(always, q="cats sleep", hybrid="none")[1]["hits"][0]


def test_a_server_refuses_what_it_can_not_search(serve: Serve, dense_index: Path, bm25_index: Path, lsr: Lsr) -> None:
    status, found = ask(serve(bm25_index), q="cats", hybrid="rerank")
    assert status == 400 and "has no dense vectors" in found["detail"]
    status, found = ask(serve(dense_index), q="cats", hybrid="much")
    assert status == 400 and "hybrid is 'much'; it must be 'rerank' or 'union'" in found["detail"]
    done = lsr("serve", "--index", bm25_index, "--hybrid", "--port", "0")
    assert done.code == 2 and "has no dense vectors" in done.err


def test_ready_vectors_get_dense_ones_of_their_texts(lsr: Lsr, masked_lm: Path, router: Path, tmp_path: Path) -> None:
    columns = {
        "id": ["a", "b"],
        "terms": [["cat", "sleep"], ["dog"]],
        "weights": [[2.0, 1.0], [1.0]],
        "text": ["a cat sleeps", "the dog guards the house"],
    }
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    args = ["index", "--vectors", tmp_path / "v.parquet", "--encoder", router, "--dense", masked_lm]
    assert lsr(*args, "--index", tmp_path / "index").code == 0
    hits = lsr("search", "cat", "--index", tmp_path / "index", "--hybrid", "union", "--json").objects
    assert {hit["doc_id"] for hit in hits} == {"a", "b"}
    pq.write_table(
        pa.table({name: column for name, column in columns.items() if name != "text"}), tmp_path / "n.parquet"
    )
    args[2] = tmp_path / "n.parquet"
    done = lsr(*args, "--index", tmp_path / "none")
    assert done.code == 1 and "vector 'a' comes without title and text" in done.err


def test_a_sparse_model_as_the_dense_leg_of_words(
    lsr: Lsr, router: Path, documents: Any, jsonl: Any, tmp_path: Path
) -> None:
    corpus = jsonl(tmp_path / "corpus.jsonl", documents)
    name = f"densified:64:{router}"
    done = lsr("index", corpus, "--index", tmp_path / "index", "--encoder", "bm25", "--dense", name)
    assert done.code == 0, done.err
    # As many slices as the model has terms, or more: nothing is lost, and the leg gives the model's own scores.
    assert lsr("index", corpus, "--index", tmp_path / "sparse", "--encoder", router).code == 0
    hits = lsr("search", "dogs chase", "--index", tmp_path / "index", "--hybrid", "union", "--json").objects
    exact = lsr("search", "dogs chase", "--index", tmp_path / "sparse", "--json").objects
    found = {hit["doc_id"]: hit["legs"]["dense"]["score"] for hit in hits}
    assert exact and {hit["doc_id"]: hit["score"] for hit in exact} == pytest.approx(
        {hit["doc_id"]: found[hit["doc_id"]] for hit in exact}, rel=0.02
    )
    done = lsr("encode", corpus, "--encoder", name, "--dense", "--out", tmp_path / "vectors")
    assert done.code == 0, done.err
    assert len(pq.read_table(next((tmp_path / "vectors").glob("*.parquet")))["vector"][0]) == 64


def test_a_dense_model_by_the_inverted_index(
    lsr: Lsr, dense_index: Path, masked_lm: Path, documents: Any, jsonl: Any, tmp_path: Path
) -> None:
    fit = ["codes", "--codes", "64", "--active", "8", "--steps", "20", "--json"]
    done = lsr(*fit, "--index", dense_index, "--out", tmp_path / "codes")
    assert done.code == 0 and done.objects[0]["n_vectors"] == 3, done.err  # one document has no text
    corpus = jsonl(tmp_path / "corpus.jsonl", documents)
    of_corpus = lsr(*fit, corpus, "--dense", masked_lm, "--sample", "2", "--out", tmp_path / "other")
    assert of_corpus.code == 0 and of_corpus.objects[0]["n_vectors"] == 2
    encoder = f"codes:{tmp_path / 'codes'}"
    assert lsr("index", corpus, "--index", tmp_path / "index", "--encoder", encoder).code == 0
    assert StoredIndex.open(tmp_path / "index").manifest.encoder["kind"] == "codes"
    *hits, facts = lsr("search", "a cat sleeps", "--index", tmp_path / "index", "--json", "--explain").objects
    assert hits and facts["unknown_terms"] == []
    assert sum(term["contribution"] for term in hits[0]["terms"]) == pytest.approx(hits[0]["score"])
    added = jsonl(tmp_path / "more.jsonl", [{"_id": "more", "text": "a cat and a dog"}])
    assert lsr("add", added, "--index", tmp_path / "index").code == 0
    assert any(
        hit["doc_id"] == "more"
        for hit in lsr("search", "a cat and a dog", "--index", tmp_path / "index", "--json").objects
    )
    assert lsr("check", "--index", tmp_path / "index").code == 0


def test_codes_of_nothing(lsr: Lsr, bm25_index: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "codes"]
    done = lsr("codes", "--index", bm25_index, *out)
    assert done.code == 2 and "has no dense vectors" in done.err
    done = lsr("codes", tmp_path, *out)
    assert done.code == 2 and "--dense E goes with CORPUS" in done.err
    done = lsr("codes", "--index", bm25_index, "--codes", "16", "--active", "8", *out)
    assert done.code == 2 and "8 active of 16 codes; give 4 at most, or 32 codes" in done.err
