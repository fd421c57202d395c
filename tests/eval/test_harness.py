"""A system on a dataset: what is measured, what it is said to cost, and what is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import LsrError, UsageError
from lsr.eval.data.datasets import Dataset, load_dataset
from lsr.eval.data.runs import Run
from lsr.eval.harness import Options, evaluate_system
from lsr.eval.measures.efficiency import flops, latency, term_counts
from lsr.eval.reports.provenance import provenance
from lsr.eval.reports.results import Result
from lsr.eval.systems.encoder_system import EncoderSystem
from lsr.eval.systems.system import System
from lsr.eval.systems.vectors_system import VectorsSystem
from lsr.indexer.storage.index import StoredIndex
from lsr.types import SparseBatch

VectorWriter = Callable[[Path, dict[str, dict[str, int]]], Path]
MADE = provenance("lsr eval tiny")


def evaluated(system: System, folder: Path, options: Options | None = None) -> tuple[Result, Run]:
    dataset: Dataset = load_dataset(folder)
    return evaluate_system(system, dataset, dataset.summary(), options or Options(), MADE)


def test_every_judged_query_counts_and_the_facts_are_told(tiny: Path, tmp_path: Path) -> None:
    result, run = evaluated(EncoderSystem("bm25", cache=tmp_path / "cache"), tiny)
    assert set(run["q1"]) == {"d1", "d2"} and run["q3"] == {}
    assert result.measures["nDCG@10"] < 1.0 and result.per_query is not None
    assert set(result.per_query["nDCG@10"]) == {"q1", "q2", "q3"} and result.per_query["nDCG@10"]["q3"] == 0.0
    assert result.n_queries_without_results == 1
    facts = result.dataset
    assert (facts.name, facts.split, facts.n_docs, facts.n_queries, facts.n_judgements) == ("tiny", "test", 5, 3, 5)
    assert (facts.n_queries_without_qrels, facts.n_unknown_judged, facts.n_docs_without_title) == (1, 1, 5)
    assert result.encoder is not None and result.encoder["kind"] == "bm25"
    assert result.protocol.approximate is None and result.protocol.k == 100


def test_the_query_itself_is_dropped_only_where_asked_and_its_place_is_filled(tiny: Path, tmp_path: Path) -> None:
    system = EncoderSystem("bm25", cache=tmp_path / "cache")
    kept, _ = evaluated(system, tiny, Options(k=1, measures=("MRR@1",)))
    dropped, _ = evaluated(system, tiny, Options(k=1, measures=("MRR@1",), drop_identical_ids=True))
    assert kept.per_query is not None and dropped.per_query is not None
    assert (kept.per_query["MRR@1"]["q2"], dropped.per_query["MRR@1"]["q2"]) == (0.0, 1.0)
    assert (kept.identical_ids_dropped, dropped.identical_ids_dropped) == (None, 1)
    assert dropped.protocol.drop_identical_ids


def test_costs_are_counted_and_timed(tiny: Path, tmp_path: Path) -> None:
    costs = evaluated(EncoderSystem("bm25", cache=tmp_path / "cache", threads=2), tiny)[0].efficiency
    assert costs is not None and costs.threads == 2
    dataset = load_dataset(tiny)
    encoder = load_encoder("bm25")
    documents = encoder.encode_documents(list(dataset.documents()))
    queries = encoder.encode_queries(list(dataset.queries.values()))
    assert costs.document_terms == pytest.approx(documents.nnz / 5)
    assert costs.query_terms == pytest.approx(queries.nnz / 3)
    shared = [np.intersect1d(document[0], query[0]).size for document in documents for query in queries]
    assert costs.flops == pytest.approx(sum(shared) / len(shared))
    assert costs.search is not None and 0 < costs.search.p50_us <= costs.search.p99_us and costs.search.n == 3
    assert costs.encode is not None and costs.qps is not None and costs.qps > 0
    assert costs.index_size_bytes is not None and costs.index_size_bytes > 0
    assert costs.stored_texts_bytes is not None and costs.stored_texts_bytes > 0


def test_an_index_is_built_once_and_again_only_for_another_corpus(tiny: Path, other: Path, tmp_path: Path) -> None:
    system = EncoderSystem("bm25", cache=tmp_path / "cache")
    first, second, third = (evaluated(system, folder)[0] for folder in (tiny, tiny, other))
    assert first.efficiency and second.efficiency and third.efficiency
    assert first.efficiency.index_s is not None and second.efficiency.index_s is None
    assert third.efficiency.index_s is not None
    assert first.measures == second.measures
    # A vocabulary that a first dataset filled must not reach into the second's index.
    alone = EncoderSystem("bm25", cache=tmp_path / "fresh")
    assert evaluated(alone, other)[0].efficiency.index_size_bytes == third.efficiency.index_size_bytes  # type: ignore[union-attr]


def test_a_damaged_index_in_the_cache_is_built_again(tiny: Path, tmp_path: Path) -> None:
    system = EncoderSystem("bm25", cache=tmp_path / "cache")
    first = evaluated(system, tiny)[0]
    manifest = next((tmp_path / "cache").rglob("manifest-*.json"))
    manifest.write_text(manifest.read_text().replace('"scale"', '"scalf"'))
    again = evaluated(system, tiny)[0]
    assert again.efficiency is not None and again.efficiency.index_s is not None
    assert again.measures == first.measures


def test_an_index_of_another_encoder_is_never_taken_for_this_one(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = EncoderSystem("bm25", cache=tmp_path / "cache")
    evaluated(system, tiny)
    index = next((tmp_path / "cache").iterdir())
    changed = load_encoder("bm25", k1=1.2)
    monkeypatch.setattr("lsr.encoders.registry.load_encoder", lambda *_, **__: changed)
    evaluated(system, tiny)
    indexes = sorted(path for path in (tmp_path / "cache").iterdir() if path != index)
    assert len(indexes) == 1
    shutil.rmtree(indexes[0])
    shutil.copytree(index, indexes[0])
    with pytest.raises(LsrError, match="was made by"):
        evaluated(system, tiny)


def test_ready_vectors_are_ranked_by_their_dot_products(
    tiny: Path, tmp_path: Path, write_vectors: VectorWriter
) -> None:
    vectors = write_vectors(
        tmp_path / "documents.parquet", {"d1": {"a": 3, "b": 1}, "d2": {"a": 2}, "d3": {"c": 5}, "d4": {"b": 9}}
    )
    queries = tmp_path / "queries.tsv"
    queries.write_text("q3\tb b\nq1\ta a b\nq2\tc unknown\nunasked\ta\n")
    system = VectorsSystem(vectors, queries, cache=tmp_path / "cache", name="mine")
    result, run = evaluated(system, tiny)
    assert {query_id: list(found) for query_id, found in run.items()} == {
        "q1": ["d4", "d1", "d2"],
        "q2": ["d3"],
        "q3": ["d4", "d1"],
    }
    assert list(run["q1"].values()) == [9.0, 7.0, 4.0]
    assert result.system == "mine" and result.efficiency is not None
    assert result.efficiency.query_terms == pytest.approx(4 / 3 + 1 / 4) and result.efficiency.encode is None


def test_ready_queries_must_hold_every_judged_query_once(
    tiny: Path, tmp_path: Path, write_vectors: VectorWriter
) -> None:
    vectors = write_vectors(tmp_path / "documents.parquet", {"d1": {"a": 3}})
    queries = tmp_path / "queries.tsv"
    system = VectorsSystem(vectors, queries, cache=tmp_path / "cache")
    queries.write_text("q1\ta\n")
    with pytest.raises(LsrError, match=r"2 of the 3 judged queries of tiny are not in it.*'q2'"):
        evaluated(system, tiny)
    queries.write_text("q1\ta\nq1\ta\nq2\ta\nq3\ta\n")
    with pytest.raises(LsrError, match="1 query ids are there twice"):
        evaluated(system, tiny)


def test_a_measure_deeper_than_the_results_is_refused() -> None:
    with pytest.raises(UsageError, match="give -k 100"):
        Options(k=10)
    with pytest.raises(UsageError, match="no measures"):
        Options(measures=())
    assert Options(measures=("ndcg@10", "nDCG@10")).measures == ("nDCG@10",)


def test_flops_is_the_expected_number_of_shared_terms() -> None:
    documents = SparseBatch.from_rows([{0: 1.0, 1: 2.0}, {1: 1.0}], 3)
    queries = SparseBatch.from_rows([{1: 1.0}, {0: 1.0, 2: 1.0}], 3)
    counted = flops(term_counts(documents, 3), 2, term_counts(queries, 3), 2)
    assert counted == pytest.approx((1 + 1 + 1 + 0) / 4)
    assert flops(term_counts(documents, 3), 0, term_counts(queries, 3), 2) is None


def test_latency_is_in_microseconds() -> None:
    times = latency([0.001] * 99 + [1.0])
    assert times is not None and times.p50_us == pytest.approx(1000) and times.n == 100
    assert times.mean_us == pytest.approx(10990) and 1000 < times.p99_us < 1e6
    assert latency([]) is None


def test_the_index_in_the_cache_is_an_index_like_any_other(tiny: Path, tmp_path: Path) -> None:
    evaluated(EncoderSystem("bm25", cache=tmp_path / "cache"), tiny)
    (folder,) = (tmp_path / "cache").iterdir()
    assert len(StoredIndex.open(folder)) == 5
    assert json.loads(next(folder.glob("manifest-*.json")).read_text())["encoder"]["kind"] == "bm25"
