"""Measures of a run against qrels, computed by ir_measures.

Three rules that other harnesses break silently: the qrels decide which queries count, and one that the run lacks counts
0; ties are broken as trec_eval breaks them (doc_id descending, scores taken as float32); a hit whose doc_id equals its
query_id is dropped only where that is asked for, and then counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lsr.errors import LsrError, MissingExtraError, UsageError
from lsr.eval.data.runs import trec_order
from lsr.eval.measures.kinds import KINDS, Kind, by_spelling
from lsr.eval.measures.large_relevances import LARGEST, has_large, ndcg

DEFAULT_MEASURES = ("nDCG@10", "Recall@100", "R_cap@100", "MRR@10", "MAP@100", "P@10")

_PER_QUERY = Mapping[str, Mapping[str, float]]
_MAX_CUTOFF = 100_000


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure at a cutoff; `name` is what tables and files call it."""

    kind: Kind
    cutoff: int

    @property
    def name(self) -> str:
        """The measure as `nDCG@10`."""
        return f"{self.kind.name}@{self.cutoff}"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of one run on one dataset.

    `mean` maps a measure to its mean over all `n_queries` judged queries; `per_query` maps it to each query's value.
    """

    mean: Mapping[str, float]
    per_query: Mapping[str, Mapping[str, float]]
    n_queries: int
    n_queries_without_results: int
    n_queries_without_relevant: int
    n_queries_not_judged: int
    """Queries of the run that the qrels don't know: left out."""
    n_unjudged_at_10: float
    """Mean number of documents among the first 10 that nobody judged: holes, counted as not relevant."""
    identical_ids_dropped: int | None
    """Hits dropped because their doc_id is the query_id; None where dropping was not asked for."""


def parse_measure(text: str) -> Measure:
    """Return the measure that a text such as `nDCG@10` names; ir-measures' names (`R@100`, `RR@10`, `AP@100`) do too.

    Raises UsageError for an unknown name or a cutoff that isn't 1…100000.
    """
    match = re.fullmatch(r"([A-Za-z_]+)@([0-9]{1,6})", text.strip())
    kind = by_spelling(KINDS).get(match[1].lower()) if match else None
    if not match or not kind or not 1 <= int(match[2]) <= _MAX_CUTOFF:
        raise UsageError(
            f"unknown measure {text!r}: use one of {', '.join(kind.name for kind in KINDS)},"
            f" then @ and a cutoff from 1 to {_MAX_CUTOFF}, as in nDCG@10"
        )
    return Measure(kind, int(match[2]))


def evaluate(
    run: _PER_QUERY,
    qrels: Mapping[str, Mapping[str, int]],
    *,
    measures: Sequence[str] = DEFAULT_MEASURES,
    drop_identical_ids: bool = False,
) -> Evaluation:
    """Measure a run `{query_id: {doc_id: score}}`; neither argument is changed.

    nDCG has linear gains and log2 discounts; a relevance above 0 is relevant to the binary measures, one below 0
    counts as 0. R_cap@k divides by min(k, relevant documents); MRR@k is 0 where the first k hold nothing relevant.
    Raises LsrError for empty qrels, a run none of whose queries the qrels know, or a score that is not finite;
    UsageError for an unknown measure.
    """
    wanted = [parse_measure(text) for text in measures]
    if not qrels:
        raise LsrError("no judgements to measure against: the qrels are empty")
    results = {query_id: run[query_id] for query_id in qrels if run.get(query_id)}
    if not results:
        raise LsrError(
            f"the run has results for none of the {len(qrels)} judged queries"
            f" (first of the qrels: {next(iter(qrels))!r}; of the run: {next(iter(run), None)!r})"
        )
    _check_finite(results)
    dropped: int | None = None
    if drop_identical_ids:
        dropped = sum(query_id in found for query_id, found in results.items())
        results = {q: {d: s for d, s in found.items() if d != q} for q, found in results.items()}
        results = {q: found for q, found in results.items() if found}
    judged = {q: {d: max(0, relevance) for d, relevance in docs.items()} for q, docs in qrels.items()}
    orders = {q: trec_order(found) for q, found in results.items()}
    per_query = _per_query(orders, judged, wanted)
    return Evaluation(
        mean={name: math.fsum(values.values()) / len(qrels) for name, values in per_query.items()},
        per_query=per_query,
        n_queries=len(qrels),
        n_queries_without_results=len(qrels) - len(results),
        n_queries_without_relevant=sum(not any(docs.values()) for docs in judged.values()),
        n_queries_not_judged=sum(query_id not in qrels for query_id in run),
        n_unjudged_at_10=_unjudged(orders, judged) / len(qrels),
        identical_ids_dropped=dropped,
    )


def _check_finite(results: _PER_QUERY) -> None:
    for query_id, found in results.items():
        for doc_id, score in found.items():
            if not math.isfinite(score):
                raise LsrError(f"the score of {doc_id!r} for query {query_id!r} is {score}, not finite")


def _per_query(
    orders: Mapping[str, Sequence[str]], judged: Mapping[str, Mapping[str, int]], wanted: Iterable[Measure]
) -> dict[str, dict[str, float]]:
    """Return {measure: {query_id: value}} with every judged query in each. orders: doc_ids of a query, best first."""
    n_relevant = {q: sum(relevance > 0 for relevance in docs.values()) for q, docs in judged.items()}
    large = {q for q, docs in judged.items() if q in orders and has_large(docs)}
    known = {q: {d: min(r, LARGEST) for d, r in docs.items()} if q in large else docs for q, docs in judged.items()}
    computed = _compute(orders, known, {_asked(measure) for measure in wanted})
    for measure in wanted:
        if measure.kind.name == "nDCG":
            computed[_asked(measure)] |= {q: ndcg(orders[q], judged[q], measure.cutoff) for q in large}
    table: dict[str, dict[str, float]] = {}
    for measure in wanted:
        values, adjust = computed[_asked(measure)], measure.kind.adjust
        table[measure.name] = {
            q: 0.0 if q not in values
            else values[q] if adjust is None
            else adjust(values[q], measure.cutoff, n_relevant[q])
            for q in judged
        }  # fmt: skip
    return table


def _asked(measure: Measure) -> str:
    return f"{measure.kind.computed}@{measure.cutoff}"


def _compute(
    orders: Mapping[str, Sequence[str]], judged: Mapping[str, Mapping[str, int]], names: set[str]
) -> dict[str, dict[str, float]]:
    """Return {name: {query_id: value}} of measures by their names in ir_measures."""
    try:
        import ir_measures
    except ImportError as error:
        raise MissingExtraError("ir-measures", "eval") from error
    measures = {ir_measures.parse_measure(name): name for name in sorted(names)}
    # Its providers break ties each in its own way: whole numbers by rank leave them none.
    run = {q: {doc_id: float(len(order) - i) for i, doc_id in enumerate(order)} for q, order in orders.items()}
    values: dict[str, dict[str, float]] = {name: {} for name in names}
    for metric in ir_measures.iter_calc(list(measures), judged, run):
        values[measures[metric.measure]][metric.query_id] = float(metric.value)
    return values


def _unjudged(orders: Mapping[str, Sequence[str]], judged: Mapping[str, Mapping[str, int]]) -> int:
    return sum(doc_id not in judged[q] for q, order in orders.items() for doc_id in order[:10])
