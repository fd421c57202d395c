"""Rerankers that read the candidates' texts: late interaction and cross-encoders, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.registry import load_encoder
from lsr.encoders.threads import encoding_threads
from lsr.errors import EncoderError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.io.cores import available_cores
from lsr.query.fusion.registry import make_fuser
from lsr.query.hybrid.rerank.cross_encoder import CrossEncoderReranker
from lsr.query.hybrid.rerank.late_interaction import LateInteractionReranker, mean_max_similarity
from lsr.query.hybrid.rerank.registry import make_reranker
from lsr.query.hybrid.settings import Hybrid, Query, Reranker
from lsr.query.searcher import Searcher
from lsr.types import Document

WORDS = "river lake sea rain snow".split()
DOCUMENTS = [Document(f"d{i}", " ".join(WORDS[j] for j in range(5) if (i + 1) >> j & 1)) for i in range(31)]
ALONE = {"fuser": make_fuser(weights=(0, 1))}


class OneHot:
    """Token vectors without a model: each word is a direction of its own, and those unknown are one more."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_texts(self, texts: Sequence[str], names: Sequence[str]) -> list[npt.NDArray[np.float16]]:
        assert all(name.startswith("document 'd") for name in names)
        self.encoded += texts
        return [self.encode_query(text) for text in texts]

    def encode_query(self, text: str) -> npt.NDArray[np.float16]:
        rows = np.zeros((len(text.split()), len(WORDS) + 1), np.float16)
        for row, word in zip(rows, text.split(), strict=True):
            row[WORDS.index(word) if word in WORDS else -1] = 1
        return rows


class Shortest:
    """A cross-encoder without a model, that likes short texts."""

    def scores(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        assert {query for query, _ in pairs} == {"river rain"}
        return np.array([-len(text) for _, text in pairs], np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rerankers") / "index"
    index_documents(DOCUMENTS, folder, load_encoder("bm25"))
    return folder


@given(
    query=st.integers(0, 3), lengths=st.lists(st.integers(0, 4), max_size=5), seed=st.integers(0, 99)
)  # fmt: skip
@settings(deadline=None)
def test_the_nearest_token_of_each_is_summed_up(query: int, lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = [rng.normal(size=(n, 3)).astype(np.float16) for n in [query, *lengths]]
    expected = []
    for document in tokens[1:]:
        nearest = [max(float(np.float32(a) @ np.float32(b)) for b in document) for a in tokens[0] if len(document)]
        expected.append(np.mean(nearest) if nearest else (-1.0 if query else 0.0))
    assert mean_max_similarity(tokens[0], tokens[1:]) == pytest.approx(expected, abs=1e-5)


def test_late_interaction_prefers_texts_that_have_all_words(path: Path) -> None:
    model = OneHot()
    hybrid = Hybrid(reranker=LateInteractionReranker(model), **ALONE)  # type: ignore[arg-type]
    searcher = Searcher(path)
    hits = searcher.search("river rain cloud", k=31, hybrid=hybrid)
    for hit in hits:
        words = hit.text.split()
        assert hit.legs is not None and [leg.leg for leg in hit.legs] == ["sparse", "late-interaction"]
        assert hit.legs[1].score == pytest.approx((("river" in words) + ("rain" in words)) / 3)
    assert all({"river", "rain"} <= set(hit.text.split()) for hit in hits[:8])
    n_encoded = len(model.encoded)
    assert n_encoded == len(hits)
    searcher.search("rain river", k=31, hybrid=hybrid)
    assert len(model.encoded) == n_encoded  # what was encoded for one query serves the next


def test_only_so_many_vectors_are_remembered(path: Path) -> None:
    model = OneHot()
    reranker = LateInteractionReranker(model, kept_bytes=200)  # type: ignore[arg-type]
    hybrid = Hybrid(reranker=reranker, **ALONE)  # type: ignore[arg-type]
    searcher = Searcher(path)
    first = searcher.search("river rain", k=31, hybrid=hybrid)
    assert searcher.search("river rain", k=31, hybrid=hybrid) == first
    assert 0 < sum(kept.nbytes for kept in reranker._kept.values()) <= 200
    assert len(model.encoded) > len(first)


def test_a_cross_encoder_reads_both_texts(path: Path) -> None:
    hybrid = Hybrid(reranker=CrossEncoderReranker(Shortest()), **ALONE)  # type: ignore[arg-type]
    explained = Searcher(path).explain("river rain", k=31, hybrid=hybrid)
    lengths = [len(found.hit.text) for found in explained.hits]
    assert lengths == sorted(lengths) and explained.engine.rerank_us > 0
    legs = explained.hits[0].hit.legs
    assert legs is not None and legs[1].leg == "cross-encoder" and legs[1].score == -lengths[0]


def test_a_fuser_that_needs_the_least_score_takes_cosines_but_no_logits(path: Path) -> None:
    searcher = Searcher(path)
    assert searcher.search("river rain", hybrid=Hybrid(reranker=LateInteractionReranker(OneHot()), fuser="tm2c2"))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="tm2c2 needs the least score"):
        searcher.search("river rain", hybrid=Hybrid(reranker=CrossEncoderReranker(Shortest()), fuser="tm2c2"))  # type: ignore[arg-type]


@pytest.mark.parametrize("reranker", [LateInteractionReranker(OneHot()), CrossEncoderReranker(Shortest())])  # type: ignore[arg-type]
def test_what_has_no_text_can_not_be_read(reranker: Reranker, tmp_path: Path, collections: Any) -> None:
    from lsr.indexer.transfer.ready_vectors import ReadyVectors
    from lsr.indexer.write.writer import IndexWriter
    from lsr.types import SparseBatch

    encoder = ReadyVectors()
    ids = [{encoder.term_id("river"): 1.0}]
    with IndexWriter(tmp_path / "index", encoder) as writer:
        writer.add([Document("d0", "")], SparseBatch.from_rows(ids, 1))
        writer.commit()
    searcher = Searcher(tmp_path / "index")
    term_ids, weights = collections.encoded(searcher.index, {"river": 1.0}).row(0)
    positions = np.array([0])
    with pytest.raises(UsageError, match=r"has no text of document 'd0', which .* reads: index texts"):
        reranker.scores(searcher, Query(term_ids, weights, "river rain"), positions)
    with pytest.raises(UsageError, match="reads the text of a query, but it came as terms only"):
        reranker.scores(searcher, Query(term_ids, weights), positions)


def test_an_index_without_dense_vectors_names_no_model(path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no dense vectors whose model gave token vectors.*late-interaction:all-MiniLM"
    ):
        Searcher(path).search("river", hybrid=Hybrid(reranker=LateInteractionReranker()))


def test_names_of_rerankers(tmp_path: Path, path: Path) -> None:
    assert make_reranker("dense") is None
    assert isinstance(make_reranker("late-interaction"), LateInteractionReranker)
    assert isinstance(make_reranker("late-interaction:a/b"), LateInteractionReranker)
    assert isinstance(make_reranker("cross-encoder:a/b"), CrossEncoderReranker)
    for name in ("magic", "dense:a/b", "late-interaction:", "late"):
        with pytest.raises(UsageError, match=f"no reranker '{name}': there are dense, late-interaction"):
            make_reranker(name)
    with pytest.raises(UsageError, match="a cross-encoder is a model: name its folder"):
        make_reranker("cross-encoder")
    for name in (f"cross-encoder:{tmp_path}", f"late-interaction:{tmp_path}"):
        with pytest.raises(EncoderError, match=str(tmp_path)):
            Searcher(path).search("river", hybrid=Hybrid(reranker=make_reranker(name)))
    with pytest.raises(UsageError, match="union takes its second leg from dense vectors"):
        Hybrid(mode="union", reranker=make_reranker("late-interaction"))


class Counting(Shortest):
    """A cross-encoder that notes how many threads a model may take."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def scores(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        self.threads.append(encoding_threads())
        return super().scores(pairs)


@pytest.mark.parametrize("queries", ["river rain", ["river rain", "river rain"]])
def test_a_reranker_takes_as_many_threads_as_the_search(path: Path, queries: str | list[str]) -> None:
    model = Counting()
    hybrid = Hybrid(reranker=CrossEncoderReranker(model), **ALONE)  # type: ignore[arg-type]
    for threads in (1, 3):
        Searcher(path).search(queries, hybrid=hybrid, threads=threads)
        assert set(model.threads) == {threads}
        model.threads.clear()
    Searcher(path).search(queries, hybrid=hybrid)
    assert set(model.threads) == {available_cores()}
