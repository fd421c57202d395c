"""What is written for another engine, scored as that engine scores it, ranks as the index does; with its limits."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lsr
import lsr.handoff
from lsr.cli.main import main
from lsr.errors import IndexDamagedError, IndexMissingError, LsrError, UsageError
from lsr.handoff.engine import NAMES, QueryTerms, find_engine
from lsr.handoff.export import export_to
from lsr.handoff.points import read_points
from lsr.indexer.transfer.read_ciff import read_ciff
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.types import SparseBatch

WORDS = "river lake sea bridge mill stone tree cloud".split()
QUERIES = ["river", "lake sea", "stone mill river tree cloud", "unknown"]
K = 12
Scores = dict[str, float]


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module", params=["index", "range", "hash"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> lsr.Index:
    """An index of words whose scores tie, with documents that were deleted and one without a term."""
    path = tmp_path_factory.mktemp("handoff") / "index"
    documents = [
        {"id": f"d{i}", "text": " ".join(WORDS[(i * 3 + j) % 8] for j in range(1 + i % 5)), "title": f'T "{i}"\t\\n'}
        for i in range(70)
    ]
    documents[9] |= {"text": "the of", "title": ""}
    options: dict[str, Any] = {} if request.param == "index" else {"shards": 3, "partition": request.param}
    found = lsr.index(documents, path, encoder="bm25", **options)
    found.delete(["d3", "d30"])
    found.add([{"id": "e", "text": "river river lake"}])
    return found


def ours(index: lsr.Index, query: str) -> list[tuple[str, float]]:
    return [(hit.doc_id, hit.score) for hit in index.search(query, k=K)]


def lines(folder: Path, suffix: str) -> list[str]:
    return [
        line for path in sorted((folder / "data").glob(f"*.{suffix}")) for line in path.read_text().split("\n")[:-1]
    ]


def feature(weight: float) -> float:
    """Return a weight as Lucene's FeatureField keeps it: a float32 of 9 significant bits."""
    bits = int(np.float32(weight).view(np.int32)) >> 15 << 15
    return float(np.int32(bits).view(np.float32))


def dot(vector: Mapping[str, float], weights: Mapping[str, float]) -> float:
    return float(
        sum(np.float32(weight) * np.float32(vector[term]) for term, weight in weights.items() if term in vector)
    )


def bulk(folder: Path, body: Any, clause: Callable[[Any], Mapping[str, float]]) -> Iterator[tuple[int, str, float]]:
    found = lines(folder, "ndjson")
    for action, source in zip(found[::2], found[1::2], strict=True):
        document = json.loads(source)
        vector = {term: feature(weight) for term, weight in document.get("impacts", {}).items()}
        yield document["position"], json.loads(action)["index"]["_id"], dot(vector, clause(body))


def elasticsearch(folder: Path, body: Any) -> Iterator[tuple[int, str, float]]:
    assert json.loads((folder / "mapping.json").read_text())["mappings"]["properties"]["impacts"] == {
        "type": "sparse_vector", "index_options": {"prune": False},
    }  # fmt: skip
    assert body["query"]["sparse_vector"]["prune"] is False
    return bulk(folder, body, lambda body: body["query"]["sparse_vector"]["query_vector"])


def opensearch(folder: Path, body: Any) -> Iterator[tuple[int, str, float]]:
    weights = body["query"]["neural_sparse"]["impacts"]["query_tokens"]
    assert all(0 < weight <= 64 for weight in weights.values())
    return bulk(folder, body, lambda _: weights)


def opensearch_ann(folder: Path, body: Any) -> Iterator[tuple[int, str, float]]:
    weights = body["query"]["neural_sparse"]["impacts"]["query_tokens"]
    assert all(0 < weight <= 255 and term.isdecimal() for term, weight in weights.items())
    return bulk(folder, body, lambda _: weights)


def points(weights: Callable[[Any], Mapping[int, float]]) -> Callable[[Path, Any], Iterator[tuple[int, str, float]]]:
    def scored(folder: Path, body: Any) -> Iterator[tuple[int, str, float]]:
        for rows in read_points(folder, 7):
            for row in rows:
                vector = dict(zip(map(str, row["indices"]), row["impacts"], strict=True))
                of_query = {str(term_id): weight for term_id, weight in weights(body).items()}
                yield row["position"], row["doc_id"], dot(vector, of_query)

    return scored


def pgvector(folder: Path, body: Any) -> Iterator[tuple[int, str, float]]:
    def parsed(text: str) -> tuple[dict[str, float], str]:
        values, _, dimensions = text.rpartition("/")
        pairs = [pair.split(":") for pair in values.strip("{}").split(",") if pair]
        assert all(1 <= int(i) <= int(dimensions) for i, _ in pairs)
        return {i: float(value) for i, value in pairs}, dimensions

    weights, dimensions = parsed(body["parameters"][0])
    assert f"sparsevec({dimensions})" in (folder / "schema.sql").read_text()
    for line in lines(folder, "copy"):
        position, doc_id, *_, vector = line.split("\t")
        found, of_document = parsed(vector)
        assert of_document == dimensions
        yield int(position), doc_id, dot(found, weights)


def feed(folder: Path, body: Any) -> Iterator[tuple[int, str, float]]:
    weights = json.loads(body["weights"])
    assert all(type(weight) is int for weight in weights.values())
    for line in lines(folder, "jsonl"):
        fields = json.loads(line)["fields"]
        yield fields["position"], fields["doc_id"], dot(fields["impacts"], weights)


def json_lines(
    weights: Callable[[Any], Mapping[str, float]],
) -> Callable[[Path, Any], Iterator[tuple[int, str, float]]]:
    def scored(folder: Path, body: Any) -> Iterator[tuple[int, str, float]]:
        for position, line in enumerate(lines(folder, "jsonl")):
            document = json.loads(line)
            yield position, document["id"], dot(document["vector"], weights(body))

    return scored


def repeated(text: str) -> dict[str, int]:
    return {token: text.split().count(token) for token in text.split()}


def ciff(folder: Path, body: Any) -> Iterator[tuple[int, str, float]]:
    encoder = ReadyVectors()
    batches = list(read_ciff(folder / "data" / "index.ciff", encoder.term_id))
    rows = [
        (document, row) for documents, vectors, _ in batches for document, row in zip(documents, vectors, strict=True)
    ]
    for position, (document, (term_ids, weights)) in enumerate(rows):
        vector = {encoder.terms[i]: float(weight) for i, weight in zip(term_ids, weights, strict=True)}
        yield position, document.doc_id, dot(vector, body)


ENGINES: dict[str, Callable[[Path, Any], Iterator[tuple[int, str, float]]]] = {
    "elasticsearch": elasticsearch,
    "opensearch": opensearch,
    "opensearch-ann": opensearch_ann,
    "qdrant": points(lambda body: dict(zip(body["query"]["indices"], body["query"]["values"], strict=True))),
    "milvus": points(lambda body: body["data"][0]),
    "duckdb": points(lambda body: {int(i): float(w) for i, w in re.findall(r"\((\d+), ([\d.e-]+)::DOUBLE\)", body)}),
    "pgvector": pgvector,
    "vespa": feed,
    "anserini": json_lines(repeated),
    "seismic": json_lines(lambda body: dict(zip(body["query_components"], body["query_values"], strict=True))),
    "pisa": ciff,
}


def test_every_engine_is_tested() -> None:
    assert sorted(ENGINES) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_engines_score_ranks_as_the_index(index: lsr.Index, tmp_path: Path, name: str) -> None:
    done = export_to(name, index.path, tmp_path / "out", part_docs=20)
    assert done.n_docs == len(index) - sum(done.left_out.values())
    assert done.left_out == ({"documents without a term": 1} if name in ("anserini", "milvus") else {})
    handoff = lsr.handoff.open(tmp_path / "out")
    assert "README.txt" in {path.name for path in (tmp_path / "out").iterdir()}
    for query in QUERIES:
        body, unit = handoff.encode(query, k=K)
        scored = [found for found in ENGINES[name](tmp_path / "out", body) if found[2] > 0]
        scored.sort(key=lambda found: (-found[2], found[0]))
        assert [doc_id for _, doc_id, _ in scored[:K]] == [doc_id for doc_id, _ in ours(index, query)]
        assert np.allclose([score * unit for *_, score in scored[:K]], [score for _, score in ours(index, query)])


def test_vectors_come_back(index: lsr.Index, tmp_path: Path) -> None:
    for name, file in (("anserini", "part-00000.jsonl"), ("pisa", "index.ciff")):
        export_to(name, index.path, tmp_path / name)
        path = tmp_path / f"{name}-index"
        assert main(["index", "--vectors", str(tmp_path / name / "data" / file), "--index", str(path)]) == 0
        back = lsr.open(path)
        searcher = back.searcher
        assert searcher.index.manifest.scale == 1.0
        for query in QUERIES[:3]:
            batch = index.searcher.encode([query])
            terms = {index.searcher.index.vocabulary.term(int(i)): float(w) for i, w in zip(*batch.row(0), strict=True)}
            known = {searcher.index.vocabulary.lookup(term): weight for term, weight in terms.items()}
            again = SparseBatch.from_rows(
                [{i: w for i, w in known.items() if i is not None}], len(searcher.index.vocabulary)
            )
            (found,) = searcher.search_vectors(again, k=K)
            assert [hit.doc_id for hit in found] == [doc_id for doc_id, _ in ours(index, query)]


def test_vectors_of_a_set_are_exported_in_order(index: lsr.Index, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    assert main(["export", "--vectors", "--index", str(index.path), str(tmp_path / "v.parquet")]) == 0
    assert pq.read_table(tmp_path / "v.parquet")["id"].to_pylist() == [document.doc_id for document in index]


def test_duckdb_itself(index: lsr.Index, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    export_to("duckdb", index.path, tmp_path / "out", part_docs=30)
    handoff = lsr.handoff.open(tmp_path / "out")
    with duckdb.connect() as database:
        database.execute((tmp_path / "out" / "load.sql").read_text().replace("data/", f"{tmp_path}/out/data/"))
        for query in QUERIES:
            found = database.execute(handoff.query(query, k=K)).fetchall()
            assert [doc_id for doc_id, _ in found] == [doc_id for doc_id, _ in ours(index, query)]


def test_qdrant_itself(index: lsr.Index, tmp_path: Path) -> None:
    client_of = pytest.importorskip("qdrant_client")
    from lsr.handoff.engines.qdrant import load_qdrant

    export_to("qdrant", index.path, tmp_path / "out")
    handoff = lsr.handoff.open(tmp_path / "out")
    client = client_of.QdrantClient(":memory:")
    assert load_qdrant(client, tmp_path / "out") == len(index)
    for query in QUERIES[:3]:
        body, unit = handoff.encode(query, k=K)
        vector = client_of.models.SparseVector(**body["query"])
        found = client.query_points("docs", query=vector, using="impacts", limit=K).points
        assert np.allclose([point.score * unit for point in found], [score for _, score in ours(index, query)])


def test_milvus_itself(index: lsr.Index, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    client_of = pytest.importorskip("pymilvus").MilvusClient
    from lsr.handoff.engines.milvus import load_milvus

    export_to("milvus", index.path, tmp_path / "out")
    handoff = lsr.handoff.open(tmp_path / "out")
    client = client_of(str(tmp_path / "milvus.db"))
    assert load_milvus(client, tmp_path / "out") == len(index) - 1
    for query in QUERIES[:3]:
        body, unit = handoff.encode(query, k=K)
        (found,) = client.search("docs", **body)
        assert np.allclose([hit["distance"] * unit for hit in found], [score for _, score in ours(index, query)])
    client.close()


def test_whole_and_bounded_weights() -> None:
    query = QueryTerms(("a", "b", "c"), (0, 1, 2), (200.0, 0.25, 0.1), 3)
    whole, unit = query.whole()
    assert whole.by_term == {"a": 255}
    assert unit == pytest.approx(200 / 255)
    kept, unit = QueryTerms(("a", "b"), (0, 1), (179.0, 3.0), 2).whole()
    assert (kept.by_term, unit) == ({"a": 179, "b": 3}, 1.0)
    fitted, divisor = query.below(64)
    assert (fitted.weights[0], divisor) == (50.0, 4.0)


def test_a_limit_is_named_with_the_count(tmp_path: Path) -> None:
    documents = [{"id": "x" * 600, "text": "river"}, {"id": "y" * 600, "text": "lake"}, {"id": "z", "text": "sea"}]
    index = lsr.index(documents, tmp_path / "index", encoder="bm25")
    with pytest.raises(LsrError, match=r"Elasticsearch can't take 2 documents \(x+, y+\): a doc_id of more than 512"):
        export_to("elasticsearch", index.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_is_replaced_only_when_asked(tmp_path: Path) -> None:
    index = lsr.index(["river"], tmp_path / "index", encoder="bm25")
    (tmp_path / "mine").mkdir()
    with pytest.raises(LsrError, match="is no export"):
        export_to("duckdb", index.path, tmp_path / "mine", overwrite=True)
    export_to("duckdb", index.path, tmp_path / "out")
    with pytest.raises(LsrError, match="--overwrite replaces it"):
        export_to("vespa", index.path, tmp_path / "out")
    export_to("vespa", index.path, tmp_path / "out", overwrite=True)
    assert lsr.handoff.open(tmp_path / "out").engine.name == "vespa"


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="no export"):
        lsr.handoff.open(tmp_path)
    index = lsr.index(["river"], tmp_path / "index", encoder="bm25")
    export_to("duckdb", index.path, tmp_path / "out")
    (tmp_path / "out" / "handoff.json").write_text('{"format": "lsr-handoff", "engine": "other"}')
    with pytest.raises(IndexDamagedError):
        lsr.handoff.open(tmp_path / "out")
    with pytest.raises(UsageError, match="no engine"):
        find_engine("other")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = lsr.index(["river", "the"], tmp_path / "index", encoder="bm25")
    given = ["export", "--index", str(index.path), "--to", "milvus", str(tmp_path / "out"), "--json"]
    assert main(given) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["documents"], found["left_out"]) == (1, {"documents without a term": 1})
    assert "left out 1 documents without a term" in printed.err
    assert main(["export", "--index", str(index.path), "--to", "milvus", "--vectors", str(tmp_path / "b")]) == 2
    assert main(["export", "--index", str(index.path), "--part-docs", "5", str(tmp_path / "b")]) == 2


BAD_LINES = {
    "no JSON": '{"id": "a"',
    "not a JSON object": "[1]",
    "it has no id": '{"vector": {}}',
    "it has no vector": '{"id": "a"}',
    "weights must be finite": '{"id": "a", "vector": {"x": -1}}',
}


@pytest.mark.parametrize("message", BAD_LINES)
def test_a_bad_line_of_vectors_is_named(tmp_path: Path, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "v.jsonl"
    file.write_text('{"id": "a0", "contents": "text", "vector": {"x": 1.5}}\n\n' + BAD_LINES[message] + "\n")
    assert main(["index", "--vectors", str(file), "--index", str(tmp_path / "index")]) == 1
    assert re.search(f"line 3: .*{message}", capsys.readouterr().err)


def test_lines_of_vectors_may_be_compressed(tmp_path: Path) -> None:
    import gzip

    with gzip.open(tmp_path / "v.jsonl.gz", "wt") as file:
        file.write('{"id": 7, "contents": "a text", "title": "t", "vector": {"x": 1.5, "y": 0}}\n')
    assert main(["index", "--vectors", str(tmp_path / "v.jsonl.gz"), "--index", str(tmp_path / "index")]) == 0
    document = lsr.open(tmp_path / "index").get("7")
    assert document is not None
    assert (document.title, document.text) == ("t", "a text")


def test_a_damaged_ciff_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = lsr.index(["river lake", "sea river"], tmp_path / "index", encoder="bm25")
    export_to("pisa", index.path, tmp_path / "out")
    whole = (tmp_path / "out" / "data" / "index.ciff").read_bytes()
    path = tmp_path / "cut.ciff"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(LsrError, match=r"cut\.ciff: (not a whole file|can't be read)"):
            list(read_ciff(path, ReadyVectors().term_id))
    assert main(["index", "--vectors", str(path), "--index", str(tmp_path / "b")]) == 1
    assert "not a whole file" in capsys.readouterr().err
