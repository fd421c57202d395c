"""The retriever of LlamaIndex, called as LlamaIndex calls it."""

from __future__ import annotations

import pytest

import lsr

pytest.importorskip("llama_index.core", reason="llama-index-core is not installed")

from lsr.integrations.llama_index import LsrRetriever


def test_nodes_are_the_hits(index: lsr.Index) -> None:
    found = LsrRetriever(index.path, k=3, where="year > 2003").retrieve("the lake")
    hits = index.search("the lake", k=3, where="year > 2003")
    assert [(node.node_id, node.text, node.score) for node in found] == [(h.doc_id, h.text, h.score) for h in hits]
    assert found[0].metadata == {"title": hits[0].title, **hits[0].fields}


def test_a_query_engine_takes_it(index: lsr.Index) -> None:
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine

    engine = RetrieverQueryEngine.from_args(LsrRetriever(index, k=2), llm=MockLLM())
    answer = engine.query("lake")
    assert [node.node_id for node in answer.source_nodes] == [hit.doc_id for hit in index.search("lake", k=2)]
