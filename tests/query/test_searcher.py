"""The searcher: texts or vectors in, hits out, the arguments checked before anything is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import EncoderError, IndexMissingError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

DOCUMENTS = [
    Document("d1", "The cat sat on the mat.", "Cats"),
    Document("d2", "A dog chased the cat.", "Dogs", {"year": 2001}),
    Document("d3", ""),
    Document("d4", "Retrieval with sparse vectors"),
]


@pytest.fixture(scope="module")
def bm25(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bm25") / "index"
    index_documents(DOCUMENTS, folder, load_encoder("bm25"))
    return folder


def test_a_hit_has_rank_score_and_the_document(bm25: Path) -> None:
    hits = Searcher(bm25).search("cats")
    assert [(hit.rank, hit.doc_id, hit.title, hit.text) for hit in hits] == [
        (1, "d1", "Cats", "The cat sat on the mat."),
        (2, "d2", "Dogs", "A dog chased the cat."),
    ]
    assert hits[0].score > hits[1].score > 0 and hits[0].query_id is None


def test_words_that_no_document_holds_find_nothing(bm25: Path) -> None:
    searcher = Searcher(bm25)
    assert [len(searcher.search(text)) for text in ("zebra", "the of and", "")] == [0, 0, 0]


def test_more_results_than_documents_may_be_asked_for(bm25: Path) -> None:
    assert [hit.doc_id for hit in Searcher(bm25).search("cat dog sparse", k=10**9)] == ["d2", "d4", "d1"]


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused_at_once(bm25: Path, k: int) -> None:
    searcher = Searcher(bm25)
    for query in ("cat", ["cat"]):
        with pytest.raises(UsageError, match=f"k is {k}; it must be at least 1"):
            searcher.search(query, k=k)


def test_queries_of_another_vocabulary_are_refused(bm25: Path) -> None:
    with pytest.raises(UsageError, match="encode the queries with the encoder of the index"):
        Searcher(bm25).rank(SparseBatch.from_rows([{999: 1.0}], 1000))


def test_a_batch_gives_the_hits_of_each_query_in_order(bm25: Path) -> None:
    searcher = Searcher(bm25)
    texts = ["dog", "zebra", "cats", "sparse retrieval"] * 30
    for threads in (1, 3):
        batch = searcher.search(texts, k=2, threads=threads)
        assert [[hit.doc_id for hit in hits] for hits in batch[:4]] == [["d2"], [], ["d1", "d2"], ["d4"]]
        assert len(batch) == len(texts) and batch[118].query == texts[118]
        assert [[hit.score for hit in hits] for hits in batch[:4]] == [
            [hit.score for hit in searcher.search(text, k=2)] for text in texts[:4]
        ]


def test_a_batch_may_be_left_before_its_end(bm25: Path) -> None:
    searcher = Searcher(bm25)
    rankings = searcher.rank(searcher.encode(["cat"] * 1000), threads=2)
    assert searcher.doc_ids(next(rankings))[0] == "d1"
    del rankings


def test_search_with_and_without_compiled_kernels_is_the_same(bm25: Path) -> None:
    searcher, once = Searcher(bm25), Searcher(bm25, once=True)
    for text in ("cat", "dog cat mat", "sparse", "zebra"):
        assert once.search(text) == searcher.search(text)


def test_the_encoder_of_the_index_may_be_handed_over_but_no_other(bm25: Path) -> None:
    searcher = Searcher(StoredIndex.open(bm25), encoder=load_encoder("bm25"))
    assert [hit.doc_id for hit in searcher.search("cats")] == ["d1", "d2"]
    with pytest.raises(EncoderError, match="the index was built with encoder 'bm25'"):
        Searcher(bm25, encoder=load_encoder("bm25", stemmer="none"))


def test_warming_up_changes_no_result(bm25: Path, tmp_path: Path) -> None:
    searcher = Searcher(bm25)
    searcher.warm_up()
    assert searcher.search("cats") == Searcher(bm25).search("cats")
    index_documents([Document("d1", "")], tmp_path / "empty", load_encoder("bm25"))
    Searcher(tmp_path / "empty").warm_up()


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="make one with 'lsr index CORPUS"):
        Searcher(tmp_path)


def test_an_index_of_ready_vectors_takes_no_text(tmp_path: Path, collections: Any) -> None:
    index = collections.write_index(tmp_path / "index", [{"cat": 2.0}])
    with pytest.raises(UsageError, match="takes encoded queries: --queries FILE"):
        Searcher(index).search("cat")
    (hits,) = Searcher(index).search_vectors(collections.encoded(index, {"cat": 3.0}))
    assert [(hit.doc_id, hit.score) for hit in hits] == [("d0", 6.0)]


def test_a_searcher_works_in_a_forked_process(bm25: Path) -> None:
    searcher = Searcher(bm25)
    expected = [hit.doc_id for hit in searcher.search("cats")]
    pid = os.fork()
    if pid == 0:
        found = [[hit.doc_id for hit in hits] for hits in searcher.search(["cats"] * 40, threads=2)]
        os._exit(0 if found == [expected] * 40 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [hit.doc_id for hit in searcher.search("cats")] == expected
