"""Hybrid searches: candidates of the sparse leg reranked by dense vectors, or the union of two legs; both are told."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import EncoderError, IndexDamagedError, UsageError
from lsr.indexer.encode.document_reader import DocumentReader
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.update import delete_documents
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.query.filters.filter import DocumentFilter
from lsr.query.fusion.fuser import Fused
from lsr.query.fusion.registry import METHODS, make_fuser
from lsr.query.hybrid import dense_search
from lsr.query.hybrid.dense_scores import DenseReranker, least_score, ranked_leg
from lsr.query.hybrid.score_smoothing import Neighbours, draw_together
from lsr.query.hybrid.search import encode_queries, rank_hybrid
from lsr.query.hybrid.settings import Hybrid
from lsr.query.options import SearchOptions
from lsr.query.queries import Queries, Query
from lsr.query.searcher import Searcher
from lsr.types import PASSAGE_END, PASSAGE_OF, PASSAGE_START, Document

DIMENSION = 16
QUERY = "river lake"


class Noise:
    """A dense encoder without a model: unit vectors that a text's bytes alone decide."""

    dimension = DIMENSION
    description: Mapping[str, Any] = {
        "kind": "dense",
        "name": "noise",
        "revision": "1",
        "settings": {"normalise": True},
    }

    def encode_dense_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        return self.encode_dense_queries([document.full_text for document in documents])

    def encode_dense_queries(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        seeds = [int.from_bytes(text.encode(), "little") % (1 << 31) for text in texts]
        rows = np.array([np.random.default_rng(seed).normal(size=DIMENSION) for seed in seeds], np.float32)
        rows = rows.reshape(-1, DIMENSION)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def text_of(i: int) -> str:
    return " ".join(["river"] * (i % 4) + ["lake"] * (i % 3) + [f"name{i}"])


class Thirds:
    """Makes three passages of each document, whatever its length."""

    settings: Mapping[str, Any] = {"max_length": 9, "overlap": 0}

    def split(self, document: Document, count: object = None) -> list[Document]:
        parts = [f"{document.text} part{part}" for part in range(3)]
        fields: list[dict[str, Any]] = [
            {PASSAGE_OF: document.doc_id, PASSAGE_START: part, PASSAGE_END: part + 1} for part in range(3)
        ]
        return [Document(f"{document.doc_id}#{i}", parts[i], fields=fields[i]) for i in range(3)]


DOCUMENTS = [Document(f"d{i}", text_of(i)) for i in range(300)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hybrid") / "index"
    three = SegmentLimits(n_docs=128)
    index_documents(DOCUMENTS, folder, load_encoder("bm25"), dense=Noise(), limits=three)
    return folder


@pytest.fixture
def searcher(path: Path) -> Searcher:
    index = StoredIndex.open(path)
    return Searcher(index, dense_encoder=Noise())


def cosine(i: int, query: str = QUERY) -> float:
    row = Noise().encode_dense_documents([DOCUMENTS[i]])[0].astype(np.float16).astype(np.float32)
    return float(row @ Noise().encode_dense_queries([query])[0])


def min_max(values: Mapping[str, float]) -> dict[str, float]:
    low, high = min(values.values()), max(values.values())
    return {name: (value - low) / (high - low) if high > low else 1.0 for name, value in values.items()}


@pytest.mark.parametrize("candidates", [10, 100, 250])
def test_reranking_adds_what_dense_vectors_say_of_the_sparse_candidates(searcher: Searcher, candidates: int) -> None:
    sparse = {hit.doc_id: hit.score for hit in searcher.search(QUERY, k=candidates)}
    dense = {doc_id: cosine(int(doc_id[1:])) for doc_id in sparse}
    first, second = min_max(sparse), min_max(dense)
    expected = {doc_id: first[doc_id] + second[doc_id] for doc_id in sparse}
    hits = searcher.search(QUERY, k=10, hybrid=Hybrid(candidates=candidates, neighbours=None))
    assert [hit.score for hit in hits] == pytest.approx(sorted(expected.values(), reverse=True)[:10], abs=1e-6)
    dense_order = sorted(dense.values(), reverse=True)
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.doc_id], abs=1e-6)
        assert hit.legs is not None and [leg.leg for leg in hit.legs] == ["sparse", "dense"]
        by_sparse, by_dense = hit.legs
        assert by_sparse.score == sparse[hit.doc_id] and by_sparse.rank == list(sparse).index(hit.doc_id) + 1
        assert by_dense.score == pytest.approx(dense[hit.doc_id], abs=1e-6)
        assert dense_order[by_dense.rank - 1] == pytest.approx(dense[hit.doc_id], abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_every_fuser_takes_the_legs(searcher: Searcher, method: str) -> None:
    hits = searcher.search(QUERY, k=20, hybrid=Hybrid(fuser=method))
    assert len(hits) == 20 and all(a.score >= b.score for a, b in pairwise(hits))


def test_one_leg_alone_is_that_leg(searcher: Searcher) -> None:
    plain = searcher.search(QUERY, k=30)
    same = searcher.search(QUERY, k=30, hybrid=Hybrid(fuser=make_fuser(weights=(1, 0)), neighbours=None))
    assert [hit.doc_id for hit in same] == [hit.doc_id for hit in plain]
    other = searcher.search(QUERY, k=30, hybrid=Hybrid(fuser=make_fuser(weights=(0, 1)), neighbours=None))
    assert [hit.legs[1].rank for hit in other if hit.legs] == list(range(1, 31))


def test_as_many_candidates_as_results_are_wanted(searcher: Searcher) -> None:
    assert len(searcher.search(QUERY, k=150, hybrid=Hybrid(candidates=10))) == 150


def test_a_searcher_with_hybrid_options_is_hybrid_everywhere(searcher: Searcher) -> None:
    hybrid = Searcher(searcher.index, dense_encoder=Noise(), options=SearchOptions.of(hybrid="rerank", fuser="rrf"))
    expected = searcher.search(QUERY, hybrid=Hybrid(fuser="rrf"))
    assert hybrid.search(QUERY) == expected
    (batch,) = hybrid.search([QUERY])
    assert [hit.doc_id for hit in batch] == [hit.doc_id for hit in expected]
    explained = hybrid.explain(QUERY)
    assert [found.hit.doc_id for found in explained.hits] == [hit.doc_id for hit in expected]
    assert explained.engine.rerank_us > 0
    for found in explained.hits:
        assert found.hit.legs is not None
        assert sum(term.points for term in found.terms) * explained.unit == pytest.approx(found.hit.legs[0].score)


def test_batches_give_what_single_queries_give(searcher: Searcher) -> None:
    queries = [f"river name{i}" for i in range(60)]
    hybrid = Hybrid(candidates=20)
    together = searcher.search(queries, k=5, hybrid=hybrid, threads=4)
    for query, hits in zip(queries, together, strict=True):
        assert [hit.doc_id for hit in hits] == [hit.doc_id for hit in searcher.search(query, k=5, hybrid=hybrid)]
    encoded = encode_queries(searcher, queries, hybrid)
    bare = Queries(encoded.sparse, encoded.dense)
    rankings = list(searcher.rank(bare, k=5, hybrid=hybrid))
    assert [searcher.doc_ids(ranking) for ranking in rankings] == [[hit.doc_id for hit in hits] for hits in together]


@pytest.mark.parametrize("mode", ["rerank", "union"])
def test_what_a_filter_forbids_is_not_found(searcher: Searcher, mode: str) -> None:
    allowed = DocumentFilter.from_doc_ids(searcher.index, [f"d{i}" for i in range(0, 300, 7)])
    hits = searcher.search(QUERY, k=100, hybrid=Hybrid(mode=mode), where=allowed)
    assert hits and all(int(hit.doc_id[1:]) % 7 == 0 for hit in hits)
    assert len(hits) == (43 if mode == "union" else len(searcher.search(QUERY, k=100, where=allowed)))


@pytest.mark.parametrize("mode", ["rerank", "union"])
def test_what_was_deleted_is_not_found(path: Path, tmp_path: Path, mode: str) -> None:
    shutil.copytree(path, tmp_path / "index")
    delete_documents([f"d{i}" for i in range(300) if i % 5], tmp_path / "index", merge=False)
    index = StoredIndex.open(tmp_path / "index")
    searcher = Searcher(index, dense_encoder=Noise())
    hits = searcher.search(QUERY, k=100, hybrid=Hybrid(mode=mode))
    assert hits and all(int(hit.doc_id[1:]) % 5 == 0 for hit in hits)
    assert mode == "rerank" or len(hits) == 60
    allowed = DocumentFilter.from_doc_ids(index, [f"d{i}" for i in range(30)])
    few = searcher.search(QUERY, k=100, hybrid=Hybrid(mode=mode), where=allowed)
    assert few and {hit.doc_id for hit in few} <= {f"d{i}" for i in range(0, 30, 5)}


def same_found(searcher: Searcher, options: SearchOptions, n: int = 90) -> None:
    """Compare what many queries find at once with what each finds alone, bit by bit."""
    texts = [f"river name{i}" if i % 3 else f"name{i} lake" for i in range(n)]
    assert options.hybrid_search is not None
    queries = encode_queries(searcher, texts, options.hybrid_search)
    together = list(searcher.find(queries, options))
    for i, found in enumerate(together):
        alone = Queries(queries.sparse.rows(i, i + 1), None if queries.dense is None else queries.dense[i : i + 1])
        (one,) = searcher.find(alone, options)
        assert found.ranking.positions.tolist() == one.ranking.positions.tolist()
        assert found.ranking.scores.tolist() == one.ranking.scores.tolist()
        for a, b in zip(found.ranking.legs, one.ranking.legs, strict=True):
            assert np.array_equal(a.scores, b.scores, equal_nan=True) and np.array_equal(a.ranks, b.ranks)


@pytest.mark.parametrize("neighbours", [None, Neighbours()])
@pytest.mark.parametrize("k", [1, 10, 250])
def test_many_queries_share_a_pass_over_the_vectors_and_find_the_same(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch, neighbours: Neighbours | None, k: int
) -> None:
    passes, fill = [], dense_search._fill_products

    def counted(index: StoredIndex, vectors: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]) -> float:
        passes.append(len(vectors))
        return fill(index, vectors, scores)

    monkeypatch.setattr(dense_search, "_fill_products", counted)
    options = SearchOptions(k=k, hybrid=Hybrid(mode="union", neighbours=neighbours), threads=1)
    list(searcher.find(encode_queries(searcher, [f"river name{i}" for i in range(70)], Hybrid()), options))
    # Queries of which terms find too little look for more, each alone.
    assert passes[0] == 64 and 6 in passes
    same_found(searcher, options)


@pytest.mark.parametrize("threads", [1, 2])
def test_many_queries_find_the_same_within_a_filter_and_without_deleted_documents(
    path: Path, tmp_path: Path, threads: int
) -> None:
    shutil.copytree(path, tmp_path / "index")
    delete_documents([f"d{i}" for i in range(0, 300, 7)], tmp_path / "index", merge=False)
    searcher = Searcher(StoredIndex.open(tmp_path / "index"), dense_encoder=Noise())
    allowed = DocumentFilter.from_doc_ids(searcher.index, [f"d{i}" for i in range(0, 300, 2)])
    for where in (None, allowed):
        same_found(searcher, SearchOptions(hybrid="union", where=where, threads=threads))


def test_many_queries_find_the_same_passages(tmp_path: Path) -> None:
    reader: Any = DocumentReader(Thirds())  # type: ignore[arg-type]
    index_documents(DOCUMENTS[:100], tmp_path / "index", load_encoder("bm25"), dense=Noise(), reader=reader)
    searcher = Searcher(StoredIndex.open(tmp_path / "index"), dense_encoder=Noise())
    same_found(searcher, SearchOptions(hybrid="union", k=20))


@pytest.mark.parametrize("n", [1, 3, 64])
def test_the_nearest_hold_the_best_however_many_are_looked_for(searcher: Searcher, n: int) -> None:
    vectors = Noise().encode_dense_queries([f"a query {i}" for i in range(n)])
    halves = np.concatenate(searcher.index.dense.matrices).astype(np.float64)  # type: ignore[union-attr]
    for vector, found in zip(vectors, dense_search.best_of_all(searcher.index, vectors, 7, None), strict=True):
        exact = halves @ vector.astype(np.float64)
        assert set(np.argsort(-exact)[:7].tolist()) <= set(found.tolist())
        assert np.all(exact[found] >= np.sort(exact)[-7] - 1e-4) and np.all(np.diff(found) > 0)


def test_union_finds_what_no_term_finds(searcher: Searcher) -> None:
    hybrid = Hybrid(mode="union", neighbours=None)
    assert len(searcher.search("xyzzy", hybrid=Hybrid())) == 0
    hits = searcher.search("xyzzy", k=10, hybrid=hybrid)
    best = sorted(range(300), key=lambda i: -cosine(i, "xyzzy"))[:10]
    assert [hit.doc_id for hit in hits] == [f"d{i}" for i in best]
    assert all(hit.legs and hit.legs[0].score is None and hit.legs[0].rank is None for hit in hits)


def test_union_fuses_the_best_of_each_leg(searcher: Searcher) -> None:
    hybrid = Hybrid(mode="union", candidates=40, neighbours=None)
    sparse = {hit.doc_id: hit.score for hit in searcher.search(QUERY, k=40)}
    best = sorted(range(300), key=lambda i: -cosine(i))[:40]
    first, second = min_max(sparse), min_max({f"d{i}": cosine(i) for i in best})
    expected = {doc_id: first.get(doc_id, 0) + second.get(doc_id, 0) for doc_id in sparse | second}
    for hit in searcher.search(QUERY, k=40, hybrid=hybrid):
        assert hit.score == pytest.approx(expected[hit.doc_id], abs=1e-6)


@pytest.mark.parametrize("mode", ["rerank", "union"])
def test_a_document_of_passages_is_found_once(tmp_path: Path, mode: str) -> None:
    index_documents(DOCUMENTS[:40], tmp_path, load_encoder("bm25"), dense=Noise(), reader=DocumentReader(Thirds()))  # type: ignore[arg-type]
    index = StoredIndex.open(tmp_path)
    hits = Searcher(index, dense_encoder=Noise()).search(QUERY, k=30, hybrid=Hybrid(mode=mode))
    assert len({hit.doc_id for hit in hits}) == len(hits) == 30
    assert all(hit.passage is not None for hit in hits)


@pytest.mark.parametrize(("mode", "found_by_dense"), [("rerank", 0), ("union", 25)])
def test_near_candidates_draw_one_another(searcher: Searcher, mode: str, found_by_dense: int) -> None:
    sparse = {hit.doc_id: hit.score for hit in searcher.search(QUERY, k=100)}
    best = sorted(DOCUMENTS, key=lambda document: -cosine(int(document.doc_id[1:])))[:found_by_dense]
    candidates = [document for document in DOCUMENTS if document.doc_id in sparse or document in best]
    rows = Noise().encode_dense_documents(candidates).astype(np.float16).astype(np.float32)
    numbers = {document.doc_id: i for i, document in enumerate(candidates)}
    lexical = ranked_leg(np.array([numbers[name] for name in sparse]), np.array(list(sparse.values())), 0.0)

    def fuse(scores: npt.NDArray[np.float64]) -> Fused:
        return make_fuser()((lexical, ranked_leg(np.arange(len(rows)), scores, -1.0)))

    expected = draw_together(rows, Noise().encode_dense_queries([QUERY])[0], fuse, Neighbours())
    hits = searcher.search(QUERY, k=100, hybrid=Hybrid(mode=mode))
    assert [hit.doc_id for hit in hits] == [candidates[i].doc_id for i in expected.docs[:100]]
    assert [hit.score for hit in hits] == pytest.approx(expected.scores[:100].tolist(), abs=1e-6)
    for hit in hits:
        assert hit.legs is not None and [leg.leg for leg in hit.legs] == ["sparse", "dense", "neighbours"]
        assert hit.legs[0].score == sparse.get(hit.doc_id)
        assert hit.legs[1].score == pytest.approx(cosine(int(hit.doc_id[1:])), abs=1e-6)
        assert hit.legs[2].rank is not None


def test_a_union_looks_for_more_by_dense_vectors_where_terms_find_little(searcher: Searcher) -> None:
    hits = searcher.search("name7", k=100, hybrid=Hybrid(mode="union"))
    assert len(hits) == 100 and sum(hit.legs[0].score is not None for hit in hits if hit.legs) == 1


def test_a_reranker_is_left_alone(searcher: Searcher) -> None:
    reranked = Hybrid(reranker=DenseReranker())
    assert reranked.neighbours is None
    row = encode_queries(searcher, [QUERY], Hybrid()).row(0)
    found, fused = (rank_hybrid(searcher, row, 10, how).ranking for how in (reranked, Hybrid(neighbours=None)))
    assert found.positions.tolist() == fused.positions.tolist() and found.scores.tolist() == fused.scores.tolist()


def test_ranks_alone_are_not_drawn_together_unless_asked_for() -> None:
    assert Hybrid(fuser="rrf").neighbours is None and Hybrid(fuser=make_fuser("rrf")).neighbours is None
    assert Hybrid(fuser="rrf", neighbours=Neighbours()).neighbours == Neighbours()
    assert all(Hybrid(fuser=name).neighbours == Neighbours() for name in METHODS if name != "rrf")


def test_unit_length_is_known_of_dense_and_joint_encoders() -> None:
    assert least_score(Noise.description) == -1.0
    assert least_score({"settings": {"dense": {"normalise": True}}}) == -1.0
    for other in ({}, {"settings": {"normalise": False}}, {"settings": {"dense": {"normalise": False}}}):
        assert least_score(other) is None


def test_equal_scores_keep_the_order_of_addition() -> None:
    leg = ranked_leg(np.array([7, 3, 5]), np.array([0.5, 0.5, 0.9]), -1.0)
    assert leg.docs.tolist() == [5, 3, 7]
    assert ranked_leg(np.array([1]), np.array([-1.0001]), -1.0).minimum == -1.0001


Change = Callable[[], object]


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Hybrid(mode="both"), "hybrid: no mode 'both'; there are rerank and union"),
        (lambda: Hybrid(candidates=9), "hybrid: 9 candidates; give 10 to 1,000"),
        (lambda: Hybrid(candidates=1001), "hybrid: 1001 candidates; give 10 to 1,000"),
        (lambda: Hybrid(fuser="best"), "unknown fusion 'best'"),
        (lambda: Hybrid(fuser=make_fuser(weights=(1, -1))), "weights of a fusion must be 0 or more"),
        (lambda: Hybrid(fuser=make_fuser(weights=(1, 1, 1))), "3 weights; give two"),
        (lambda: Hybrid(mode="union", reranker=DenseReranker()), "union takes its second leg from dense vectors"),
    ],
)
def test_values_outside_their_range_are_refused(make: Change, error: str) -> None:
    with pytest.raises(UsageError, match=re.escape(error)):
        make()


def test_an_index_without_dense_vectors_names_the_command_that_adds_them(tmp_path: Path) -> None:
    index_documents(DOCUMENTS[:5], tmp_path, load_encoder("bm25"))
    said = re.escape(f"lsr index --index {tmp_path} --dense E")
    with pytest.raises(UsageError, match=said):
        Searcher(tmp_path).search(QUERY, hybrid=Hybrid())
    with pytest.raises(UsageError, match=said):
        Searcher(tmp_path).search([QUERY], hybrid="union")


def test_queries_that_do_not_fit_the_vectors_are_refused(searcher: Searcher) -> None:
    sparse = searcher.encode([QUERY]).row(0)
    with pytest.raises(UsageError, match="shape \\(3,\\), but the index's have dimension 16"):
        rank_hybrid(searcher, Query(*sparse, dense=np.ones(3, np.float32)), 5, Hybrid())
    with pytest.raises(EncoderError, match="the query's dense vector holds NaN"):
        rank_hybrid(searcher, Query(*sparse, dense=np.full(16, np.nan, np.float32)), 5, Hybrid())
    with pytest.raises(UsageError, match="needs the text or the dense vector"):
        rank_hybrid(searcher, Query(*sparse), 5, Hybrid())
    with pytest.raises(UsageError, match="2 sparse queries, but 1 texts"):
        Queries(searcher.encode([QUERY, QUERY]), texts=[QUERY])


@pytest.mark.parametrize("mode", ["rerank", "union"])
def test_a_vector_on_disk_that_is_no_number_is_damage(tmp_path: Path, mode: str) -> None:
    index_documents(DOCUMENTS[:20], tmp_path, load_encoder("bm25"), dense=Noise())
    (matrix,) = tmp_path.glob("dense/*/*.npy")
    with matrix.open("r+b") as file:
        file.seek(-2, 2)
        file.write(b"\xff\x7f")
    index = StoredIndex.open(tmp_path)
    with pytest.raises(IndexDamagedError, match="d19"):
        Searcher(index, dense_encoder=Noise()).search("lake", k=20, hybrid=Hybrid(mode=mode))
