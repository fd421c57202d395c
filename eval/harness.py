"""One system on one dataset: search, measure, and put together what a result file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lsr.errors import UsageError
from lsr.eval.data.datasets import CorpusSummary, Dataset
from lsr.eval.data.qrels import Qrels
from lsr.eval.data.runs import Run
from lsr.eval.measures.measures import DEFAULT_MEASURES, Evaluation, evaluate, parse_measure
from lsr.eval.reports.provenance import Provenance
from lsr.eval.reports.results import DatasetFacts, Efficiency, Protocol, Result, qrels_sha256
from lsr.eval.systems.system import TREC_TIES, System

TEXT_RULE = "title and text of a document joined by a space"


@dataclass(frozen=True, slots=True)
class Options:
    """Rules for all systems of an evaluation.

    k: results a query. measures: the first decides comparisons. drop_identical_ids: drop a hit whose doc_id is the
    query_id. Raises UsageError for an unknown measure, or one that looks deeper than k.
    """

    k: int = 100
    measures: tuple[str, ...] = DEFAULT_MEASURES
    drop_identical_ids: bool = False

    def __post_init__(self) -> None:
        """Bring the names of measures into their one spelling, each once."""
        parsed = [parse_measure(measure) for measure in self.measures]
        if not parsed:
            raise UsageError("no measures: name at least one, such as nDCG@10")
        object.__setattr__(self, "measures", tuple(dict.fromkeys(measure.name for measure in parsed)))
        deepest = max(measure.cutoff for measure in parsed)
        if self.k < deepest:
            raise UsageError(f"k is {self.k}, but a measure looks at the first {deepest} results: give -k {deepest}")


def evaluate_system(
    system: System, dataset: Dataset, summary: CorpusSummary, options: Options, provenance: Provenance
) -> tuple[Result, Run]:
    """Search all the dataset's queries with a system, and return the result and the run."""
    # A hit that is the query itself takes a place that dropping then frees.
    found = system.run(dataset, options.k + options.drop_identical_ids)
    evaluation = evaluate(
        found.run, dataset.qrels, measures=options.measures, drop_identical_ids=options.drop_identical_ids
    )
    protocol = Protocol(options.k, TEXT_RULE, options.drop_identical_ids, found.ties, found.approximate)
    facts = dataset_facts(dataset, summary)
    result = _result(system.name, found.description, facts, protocol, evaluation, found.costs, provenance)
    return result, found.run


def evaluate_run(
    name: str, run: Mapping[str, Mapping[str, float]], qrels: Qrels, dataset: tuple[str, str], options: Options,
    provenance: Provenance,
) -> Result:  # fmt: skip
    """Measure any system's run against qrels. dataset: its name and split."""
    evaluation = evaluate(run, qrels, measures=options.measures, drop_identical_ids=options.drop_identical_ids)
    n_judgements = sum(map(len, qrels.values()))
    facts = DatasetFacts(*dataset, len(qrels), n_judgements, qrels_sha256(qrels), *[None] * 5)
    protocol = Protocol(None, None, options.drop_identical_ids, TREC_TIES, None)
    return _result(name, None, facts, protocol, evaluation, None, provenance)


def _result(
    system: str, encoder: Mapping[str, object] | None, facts: DatasetFacts, protocol: Protocol,
    evaluation: Evaluation, costs: Efficiency | None, provenance: Provenance,
) -> Result:  # fmt: skip
    return Result(
        system=system,
        encoder=encoder,
        dataset=facts,
        protocol=protocol,
        measures=evaluation.mean,
        n_queries_without_results=evaluation.n_queries_without_results,
        n_queries_not_judged=evaluation.n_queries_not_judged,
        n_unjudged_at_10=evaluation.n_unjudged_at_10,
        identical_ids_dropped=evaluation.identical_ids_dropped,
        efficiency=costs,
        per_query=evaluation.per_query,
        provenance=provenance,
    )


def dataset_facts(dataset: Dataset, summary: CorpusSummary) -> DatasetFacts:
    """Return the facts about a dataset that a result file holds."""
    return DatasetFacts(
        name=dataset.name,
        split=dataset.split,
        n_queries=len(dataset.qrels),
        n_judgements=dataset.n_judgements,
        qrels_sha256=qrels_sha256(dataset.qrels),
        n_queries_without_qrels=dataset.n_queries_without_qrels,
        n_docs=summary.n_docs,
        n_docs_without_title=summary.n_without_title,
        n_docs_without_text=summary.n_without_text,
        n_unknown_judged=summary.n_unknown_judged,
    )
