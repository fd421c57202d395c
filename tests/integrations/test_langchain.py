"""LangChain's own tests of a retriever, and what its documents hold."""

from __future__ import annotations

from typing import Any

import pytest

import lsr
from lsr.errors import LsrError

pytest.importorskip("langchain_core", reason="langchain-core is not installed")
standard = pytest.importorskip("langchain_tests.integration_tests", reason="langchain-tests is not installed")

from lsr.integrations.langchain import LsrRetriever  # noqa: E402


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
class TestStandard(standard.RetrieversIntegrationTests):  # type: ignore[name-defined,misc]
    @pytest.fixture(autouse=True)
    def _with(self, index: lsr.Index) -> None:
        self._opened = index

    @property
    def retriever_constructor(self) -> type[LsrRetriever]:
        return LsrRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"index": self._opened}

    @property
    def retriever_query_example(self) -> str:
        return "river"


def test_documents_are_the_hits(index: lsr.Index) -> None:
    found = LsrRetriever(index=index.path, k=4, options={"where": "year > 2003"}).invoke("the lake")
    hits = index.search("the lake", k=4, where="year > 2003")
    assert [(document.id, document.page_content) for document in found] == [(hit.doc_id, hit.text) for hit in hits]
    assert found[0].metadata == {"title": hits[0].title, "score": hits[0].score, **hits[0].fields}


def test_options_of_a_call_go_before_those_of_the_retriever(index: lsr.Index) -> None:
    retriever = LsrRetriever(index=index, k=4, options={"where": "year > 2003"})
    assert [document.id for document in retriever.invoke("river", k=1, filter="year == 2002")] == ["d2"]
    assert retriever.batch(["river", "lake"])[1] == retriever.invoke("lake")


def test_what_is_wrong_is_an_error(index: lsr.Index, tmp_path: Any) -> None:
    with pytest.raises(LsrError, match="no index"):
        LsrRetriever(index=tmp_path)
    with pytest.raises(LsrError, match="it must be an Index"):
        LsrRetriever(index=7)
    with pytest.raises(LsrError, match="no search option 'depth'"):
        LsrRetriever(index=index).invoke("river", depth=3)
