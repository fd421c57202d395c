"""The numbers that must hold, on the shared collections."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from lsr.eval.data.datasets import load_dataset
from lsr.eval.data.runs import Ranking, read_run, run_of, write_run
from lsr.eval.harness import Options, evaluate_system
from lsr.eval.measures.measures import evaluate
from lsr.eval.reports.provenance import provenance
from lsr.eval.systems.encoder_system import EncoderSystem
from lsr.eval.systems.vectors_system import VectorsSystem


def exhaustive_rankings(documents: Path, queries: Path, *, k: int) -> list[Ranking]:
    """Plain dot products of all documents with all queries, ties in the order of the documents."""
    table = pq.read_table(documents)
    lists = table["terms"].combine_chunks()
    encoded = pa.array(lists.values).dictionary_encode()
    term_ids = {term: i for i, term in enumerate(encoded.dictionary.to_pylist())}
    weights = table["weights"].combine_chunks().values.to_numpy().astype(np.int64)
    shape = (len(table), len(term_ids))
    matrix = sparse.csr_matrix((weights, encoded.indices.to_numpy(), lists.offsets.to_numpy()), shape=shape)
    doc_ids = table["id"].to_pylist()
    rankings = []
    with gzip.open(queries, "rt", encoding="utf-8") as lines:
        for line in lines:
            query_id, _, terms = line.rstrip("\n").partition("\t")
            vector = np.zeros(len(term_ids), np.int64)
            for term, weight in Counter(terms.split()).items():
                if term in term_ids:
                    vector[term_ids[term]] = weight
            scores = matrix @ vector
            best = np.argsort(-scores, kind="stable")[:k]
            best = best[scores[best] > 0]
            rankings.append(Ranking(query_id, [doc_ids[i] for i in best], scores[best]))
    return rankings


def test_nfcorpus_with_splade_v3_vectors_gives_0_3632(shared: Path, tmp_path: Path) -> None:
    data = shared / "data"
    rankings = exhaustive_rankings(
        data / "sparse/nfcorpus-splade-v3/documents.parquet",
        data / "sparse/queries/topics.beir-v1.0.0-nfcorpus.test.splade-v3.tsv.gz",
        k=1000,
    )
    qrels = load_dataset(data / "beir" / "nfcorpus").qrels
    evaluation = evaluate(run_of(rankings), qrels)
    assert evaluation.mean["nDCG@10"] == pytest.approx(0.3632, abs=5e-4)
    assert evaluation.n_queries == 323
    write_run(tmp_path / "run.trec.gz", rankings)
    assert evaluate(read_run(tmp_path / "run.trec.gz"), qrels) == evaluation


@pytest.mark.parametrize(("name", "least"), [("scifact", 0.675), ("nfcorpus", 0.317)])
def test_bm25_from_text_to_measure(shared: Path, tmp_path: Path, name: str, least: float) -> None:
    dataset = load_dataset(shared / "data" / "beir" / name)
    system = EncoderSystem("bm25", cache=tmp_path, threads=2)
    result, _ = evaluate_system(system, dataset, dataset.summary(), Options(), provenance("test"))
    assert result.measures["nDCG@10"] >= least


def test_the_engine_gives_the_order_and_scores_of_plain_dot_products(shared: Path, tmp_path: Path) -> None:
    vectors = shared / "data/sparse/nfcorpus-splade-v3/documents.parquet"
    queries = shared / "data/sparse/queries/topics.beir-v1.0.0-nfcorpus.test.splade-v3.tsv.gz"
    dataset = load_dataset(shared / "data" / "beir" / "nfcorpus")
    system = VectorsSystem(vectors, queries, cache=tmp_path, name="splade-v3")
    result, run = evaluate_system(system, dataset, dataset.summary(), Options(k=100), provenance("test"))
    assert result.measures["nDCG@10"] == pytest.approx(0.3632, abs=5e-4)
    expected = run_of(exhaustive_rankings(vectors, queries, k=100))
    assert {q: list(found.items()) for q, found in run.items()} == {q: list(expected[q].items()) for q in run}
