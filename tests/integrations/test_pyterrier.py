"""The transformer of PyTerrier, in pipelines and an experiment, without Java."""

from __future__ import annotations

import pytest

import lsr
from lsr.errors import UsageError

pt = pytest.importorskip("pyterrier", reason="pyterrier is not installed")
import pandas as pd  # noqa: E402

from lsr.integrations.pyterrier import LsrRetriever  # noqa: E402

TOPICS = pd.DataFrame(
    [{"qid": "1", "query": "the lake 7"}, {"qid": "2", "query": "unknown"}, {"qid": "3", "query": "river"}]
)


def test_results_are_the_hits(index: lsr.Index) -> None:
    found = LsrRetriever(index.path, num_results=3).transform(TOPICS)
    expected = [
        (query.qid, query.query, hit.doc_id, hit.score, hit.rank - 1)
        for query in TOPICS.itertuples() for hit in index.search(query.query, k=3)
    ]  # fmt: skip
    assert list(found[["qid", "query", "docno", "score", "rank"]].itertuples(index=False, name=None)) == expected
    assert len(LsrRetriever(index).transform(TOPICS.iloc[:0])) == 0


def test_operators_and_experiments_take_it(index: lsr.Index) -> None:
    retriever = LsrRetriever(index, num_results=5, where="year > 2002")
    best = (retriever % 2).transform(TOPICS)
    assert best.groupby("qid").size().to_dict() == {"1": 2, "3": 2}
    assert (retriever % 2).compile().transform(TOPICS).equals(best)
    doubled = (retriever + retriever).transform(TOPICS)
    single = retriever.transform(TOPICS)
    assert dict(zip(doubled["docno"], doubled["score"], strict=True)) == pytest.approx(
        dict(zip(single["docno"], 2 * single["score"], strict=True))
    )
    qrels = pd.DataFrame([{"qid": "1", "docno": "d7", "label": 1}])
    table = pt.Experiment([retriever], TOPICS, qrels, ["recip_rank"], names=["lsr"])
    assert table["recip_rank"].tolist() == [1.0]


def test_a_query_id_given_twice_is_refused(index: lsr.Index) -> None:
    with pytest.raises(UsageError, match="twice"):
        LsrRetriever(index).transform(pd.concat([TOPICS, TOPICS]))
