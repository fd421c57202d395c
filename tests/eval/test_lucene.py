"""Lucene beside ours: the same vectors, the same scores. Runs where Java and Pyserini's jar are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.errors import LsrError, MissingExtraError, UsageError
from lsr.eval.data.datasets import load_dataset
from lsr.eval.data.runs import trec_order
from lsr.eval.harness import Options, evaluate_system
from lsr.eval.measures.measures import evaluate
from lsr.eval.reports.provenance import provenance
from lsr.eval.systems.lucene import Lucene, find_lucene, lucene_bm25, lucene_impact
from lsr.eval.systems.lucene_systems import LuceneBM25, LuceneImpact, read_integer_vectors
from lsr.eval.systems.registry import Resources, open_baseline
from lsr.eval.systems.vectors_system import VectorsSystem


@pytest.fixture(scope="module")
def lucene() -> Lucene:
    try:
        return find_lucene()
    except MissingExtraError as error:
        pytest.skip(str(error))


def test_exact_scores_equal_lucenes_on_the_same_integer_vectors(shared: Path, tmp_path: Path, lucene: Lucene) -> None:
    vectors = shared / "data/sparse/nfcorpus-splade-v3/documents.parquet"
    table = pq.read_table(vectors).slice(0, 1200)
    pq.write_table(table, tmp_path / "documents.parquet")
    source = load_dataset(shared / "data" / "beir" / "nfcorpus")
    queries = shared / "data/sparse/queries/topics.beir-v1.0.0-nfcorpus.test.splade-v3.tsv.gz"

    system = VectorsSystem(tmp_path / "documents.parquet", queries, cache=tmp_path / "cache")
    ours = evaluate_system(system, source, source.summary(), Options(k=100), provenance("test"))[1]
    found = LuceneImpact(tmp_path / "documents.parquet", queries).run(source, 100)
    theirs = found.run
    assert found.description["name"] == f"Anserini {lucene.version}" and len(theirs) > 300

    for query_id, found in theirs.items():
        # Lucene breaks ties its own way, and writes them a hair apart; whole scores say what is tied.
        scores = sorted((round(score) for score in found.values()), reverse=True)
        assert scores == [round(score) for score in ours[query_id].values()]
        last = scores[-1]
        assert {d for d, s in found.items() if round(s) > last} == {
            d for d, s in ours[query_id].items() if round(s) > last
        }


def test_lucenes_bm25_gives_its_published_number(shared: Path, lucene: Lucene) -> None:
    dataset = load_dataset(shared / "data" / "beir" / "nfcorpus")
    run = lucene_bm25(lucene, dataset, k=1000)
    assert evaluate(run, dataset.qrels).mean["nDCG@10"] == pytest.approx(0.3218, abs=1e-3)


def test_small_integer_vectors_are_summed_exactly(lucene: Lucene) -> None:
    rng = np.random.default_rng(4)
    terms = [f"t{i}" for i in range(30)]
    documents = [
        (f"d{n}", {t: int(rng.integers(1, 256)) for t in rng.choice(terms, 8, replace=False)}) for n in range(40)
    ]
    query = {t: int(rng.integers(1, 20)) for t in terms[:6]}
    run = lucene_impact(lucene, documents, [("q", query)], k=40)
    expected = {d: sum(w * vector.get(t, 0) for t, w in query.items()) for d, vector in documents}
    assert {d: round(score) for d, score in run["q"].items()} == {d: s for d, s in expected.items() if s}
    assert expected[trec_order(run["q"])[0]] == max(expected.values())


def test_a_failing_program_is_an_error_with_what_it_said(lucene: Lucene, tmp_path: Path) -> None:
    with pytest.raises(LsrError, match=r"Anserini's no.Such failed with exit code 1"):
        lucene.run("no.Such", "-index", tmp_path)


def test_baselines_say_what_they_need(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown baseline 'pisa': use one of lucene-bm25, lucene-impact"):
        open_baseline("pisa", Resources())
    with pytest.raises(UsageError, match="--vectors and --queries"):
        open_baseline("lucene-impact", Resources())
    columns = {"id": ["a"], "terms": [["x", "y"]], "weights": [[1.0, 0.5]]}
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    with pytest.raises(LsrError, match="'a' has weights that aren't whole"):
        list(read_integer_vectors(tmp_path / "v.parquet"))


def test_lucene_is_a_system_by_its_name(tiny: Path, lucene: Lucene) -> None:
    system = open_baseline("lucene-bm25", Resources())
    assert isinstance(system, LuceneBM25) and system.name == "lucene-bm25"
    found = system.run(load_dataset(tiny), 10)
    assert found.description["kind"] == "lucene-bm25" and set(found.run["q1"]) == {"d1", "d2"}
