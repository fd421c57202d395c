"""Measures: trec_eval's numbers, the judged queries' mean, ties and missing queries included."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import pytrec_eval

from lsr.errors import LsrError, UsageError
from lsr.eval.data.runs import trec_order
from lsr.eval.measures import measures
from lsr.eval.measures.kinds import KINDS, Kind
from lsr.eval.measures.measures import DEFAULT_MEASURES, evaluate, parse_measure

Qrels = dict[str, dict[str, int]]
Run = dict[str, dict[str, float]]


def random_case(seed: int, *, n_queries: int = 6, n_docs: int = 140) -> tuple[Run, Qrels]:
    """A run and qrels full of ties, queries that only one side knows, and queries with nothing relevant."""
    rng = np.random.default_rng(seed)
    docs = [f"d{i}" for i in rng.permutation(n_docs)]
    qrels: Qrels = {}
    run: Run = {}
    for q in range(n_queries):
        judged = rng.choice(n_docs, rng.integers(1, 30), replace=False)
        qrels[f"q{q}"] = {docs[i]: int(rng.integers(0, 4)) for i in judged}
        found = rng.choice(n_docs, rng.integers(1, n_docs), replace=False)
        levels = rng.integers(1, 40)
        # Few levels make ties; the tiny part is lost in float32, where trec_eval sees ties too.
        run[f"q{q}"] = {docs[i]: float(rng.integers(0, levels)) + float(rng.integers(0, 3)) * 1e-9 for i in found}
    qrels["nothing-relevant"] = {"d1": 0, "d2": 0}
    run["nothing-relevant"] = {"d1": 1.0}
    if seed % 3 == 0:
        qrels["not-in-run"] = {"d1": 1}
    if seed % 4 == 0:
        run["not-judged"] = {"d1": 1.0}
    return run, qrels


TREC_NAMES = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG@100": "ndcg_cut_100",
    "Recall@100": "recall_100",
    "Recall@5": "recall_5",
    "MAP@100": "map_cut_100",
    "MAP@10": "map_cut_10",
    "P@10": "P_10",
    "P@5": "P_5",
    "MRR@1000": "recip_rank",
}


def test_a_thousand_random_runs_with_ties_equal_trec_eval() -> None:
    for seed in range(1000):
        run, qrels = random_case(seed)
        families = {"ndcg_cut", "recall", "map_cut", "P", "recip_rank"}
        expected = pytrec_eval.RelevanceEvaluator(qrels, families).evaluate(run)
        got = evaluate(run, qrels, measures=list(TREC_NAMES))
        for measure, name in TREC_NAMES.items():
            wanted = {query_id: expected[query_id][name] if query_id in expected else 0.0 for query_id in qrels}
            assert got.per_query[measure] == pytest.approx(wanted, abs=1e-6)
            assert got.mean[measure] == pytest.approx(sum(wanted.values()) / len(qrels), abs=1e-6)


def test_the_order_of_ties_is_trec_evals() -> None:
    # P@1 of a run where only one of the tied documents is relevant shows which of them came first.
    for seed in range(200):
        run, qrels = random_case(seed, n_queries=3)
        for query_id, found in run.items():
            if query_id in qrels:
                first = trec_order(found)[0]
                alone = evaluate({query_id: found}, {query_id: {first: 1}}, measures=["P@1", "nDCG@10"])
                assert alone.mean == {"P@1": 1.0, "nDCG@10": 1.0}


def test_numbers_equal_beirs_own_harness_to_four_digits() -> None:
    from beir.retrieval.evaluation import EvaluateRetrieval

    for seed in range(60):
        run, qrels = random_case(seed)
        # beir leaves a query that the run lacks out of the mean, and divides by zero without relevant documents.
        qrels = {q: docs for q, docs in qrels.items() if q in run and any(docs.values())}
        # Its MRR and capped recall take scores as doubles and ties by the order of the dict: trec_eval's order and
        # float32 scores make both halves of it see one ranking.
        ordered = {q: {d: float(np.float32(run[q][d])) for d in trec_order(run[q])} for q in qrels}
        ndcg, map_, recall, precision = EvaluateRetrieval.evaluate(
            qrels, copy.deepcopy(ordered), [10, 100], ignore_identical_ids=False
        )
        mrr = EvaluateRetrieval.evaluate_custom(qrels, ordered, [10], "mrr")
        capped = EvaluateRetrieval.evaluate_custom(qrels, ordered, [100], "r_cap")
        got = evaluate(ordered, qrels).mean
        wanted = {
            "nDCG@10": ndcg["NDCG@10"],
            "Recall@100": recall["Recall@100"],
            "R_cap@100": capped["R_cap@100"],
            "MRR@10": mrr["MRR@10"],
            "MAP@100": map_["MAP@100"],
            "P@10": precision["P@10"],
        }
        assert got == pytest.approx(wanted, abs=5e-5 + 1e-9)


def test_identical_ids_are_dropped_as_beir_drops_them_but_the_run_stays_as_it_was() -> None:
    from beir.retrieval.evaluation import EvaluateRetrieval

    qrels = {"a": {"b": 1}, "c": {"d": 1, "c": 1}}
    run = {"a": {"a": 3.0, "b": 2.0}, "c": {"x": 3.0, "d": 1.0}}
    before = copy.deepcopy(run)
    kept, dropped = evaluate(run, qrels), evaluate(run, qrels, drop_identical_ids=True)
    assert run == before
    assert (kept.identical_ids_dropped, dropped.identical_ids_dropped) == (None, 1)
    assert kept.per_query["MRR@10"] == {"a": 0.5, "c": 0.5}
    assert dropped.per_query["MRR@10"] == {"a": 1.0, "c": 0.5}
    ndcg = EvaluateRetrieval.evaluate(qrels, copy.deepcopy(run), [10], ignore_identical_ids=True)[0]
    assert dropped.mean["nDCG@10"] == pytest.approx(ndcg["NDCG@10"], abs=5e-5)


def test_a_new_measure_is_a_function_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(precision: float, cutoff: int, n_relevant: int) -> float:
        return precision / 2

    monkeypatch.setattr(measures, "KINDS", (*KINDS, Kind("Success", "Success"), Kind("HalfP", "P", adjust=half)))
    got = evaluate({"q": {"a": 2.0, "b": 1.0}}, {"q": {"b": 1}}, measures=["success@1", "Success@2", "HalfP@2"])
    assert got.mean == {"Success@1": 0.0, "Success@2": 1.0, "HalfP@2": 0.25}


def test_the_qrels_decide_which_queries_count() -> None:
    qrels = {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"a": 0}}
    got = evaluate({"q1": {"a": 1.0}, "q2": {}, "other": {"a": 1.0}}, qrels)
    assert got.mean["nDCG@10"] == pytest.approx(1 / 3)
    assert got.per_query["nDCG@10"] == {"q1": 1.0, "q2": 0.0, "q3": 0.0}
    assert (got.n_queries, got.n_queries_without_results) == (3, 2)
    assert (got.n_queries_without_relevant, got.n_queries_not_judged) == (1, 1)


def test_capped_recall_divides_by_what_could_be_found() -> None:
    qrels = {"q": {f"d{i}": 1 for i in range(20)}}
    run = {"q": {f"d{i}": float(-i) for i in range(5)}}
    got = evaluate(run, qrels, measures=["R_cap@10", "Recall@10", "R_cap@100"])
    assert got.mean == {"R_cap@10": 0.5, "Recall@10": 0.25, "R_cap@100": 0.25}


def test_negative_relevance_counts_as_not_relevant() -> None:
    run = {"q": {"spam": 2.0, "good": 1.0}}
    assert evaluate(run, {"q": {"spam": -2, "good": 1}}).mean == evaluate(run, {"q": {"spam": 0, "good": 1}}).mean


def test_holes_are_counted() -> None:
    got = evaluate({"q": {"judged": 1.0, "x": 0.5, "y": 0.4}, "r": {"z": 1.0}}, {"q": {"judged": 0}, "r": {"a": 1}})
    assert got.n_unjudged_at_10 == 1.5


def test_integer_scores_are_taken() -> None:
    assert evaluate({"q": {"a": 2, "b": 1}}, {"q": {"b": 1}}).mean["MRR@10"] == 0.5


@pytest.mark.parametrize(
    ("run", "qrels", "message"),
    [
        ({"q": {"a": 1.0}}, {}, "no judgements"),
        ({}, {"q": {"a": 1}}, "none of the 1 judged"),
        ({"Q": {"a": 1.0}}, {"q": {"a": 1}}, "'q'; of the run: 'Q'"),
        ({"q": {"a": math.nan}}, {"q": {"a": 1}}, "not finite"),
        ({"q": {"a": math.inf}}, {"q": {"a": 1}}, "not finite"),
    ],
)
def test_what_can_not_be_measured_is_an_error(run: Run, qrels: Qrels, message: str) -> None:
    with pytest.raises(LsrError, match=message):
        evaluate(run, qrels)


@pytest.mark.parametrize("text", ["nDCG", "nDCG@0", "F1@10", "nDCG@-1", "nDCG@9999999", ""])
def test_unknown_measures_are_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError, match="nDCG, Recall, R_cap, MRR, MAP, P"):
        parse_measure(text)


def test_other_spellings_mean_the_same_measure() -> None:
    assert [parse_measure(text).name for text in ("ndcg@10", "R@100", "RR@10", "AP@100")] == [
        "nDCG@10",
        "Recall@100",
        "MRR@10",
        "MAP@100",
    ]
    assert [parse_measure(text).name for text in DEFAULT_MEASURES] == list(DEFAULT_MEASURES)


@pytest.mark.parametrize("factor", [10**5, 10**6, 2**53 + 1, 10**25, 10**400])
def test_relevances_of_any_size(factor: int) -> None:
    run = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"a": 1.0}}
    qrels = {"q1": {"a": 1, "b": 3, "d": 2}, "q2": {"b": 1}}
    large = {q: {d: r * factor for d, r in docs.items()} for q, docs in qrels.items()}
    wanted, found = evaluate(run, qrels), evaluate(run, large)
    assert found.per_query.keys() == wanted.per_query.keys()
    for name, values in wanted.per_query.items():
        assert found.per_query[name] == pytest.approx(values, abs=1e-12), name
