"""Encoding a corpus into shards: nothing lost, nothing twice, whatever interrupts it."""

from __future__ import annotations

import json
import tracemalloc
from collections import deque

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.encoders.registry import load_encoder
from lsr.encoders.runtime import INTEGER_KERNELS, Runtime
from lsr.errors import IndexLockedError, LsrError, UsageError
from lsr.indexer.encode import resumable_job as encoding
from lsr.indexer.encode import units
from lsr.indexer.encode.encode_corpus import encode_corpus
from lsr.indexer.encode.encode_to_store import encode_to_store
from lsr.indexer.encode.windows import CHARACTERS_PER_TOKEN, windows
from lsr.indexer.pipeline import index_vectors
from lsr.indexer.transfer.read_vectors import read_vectors
from lsr.io.writer_lock import writer_lock
from lsr.types import Document, SparseBatch

TERMS = [f"t{i}" for i in range(50)]


class Counter:
    """An encoder that is cheap and says how often it was asked: a document's weights are its letters' counts."""

    corpus_weighting = None

    def __init__(self, revision="1", fails_at=None):
        self.terms = [chr(i) for i in range(1, 300)]
        self.description = {"kind": "count", "name": "count", "revision": revision, "query_side": "none"}
        self.seen = []
        self.fails_at = fails_at

    def encode_documents(self, documents):
        rows = []
        for document in documents:
            if document.doc_id == self.fails_at:
                raise KeyboardInterrupt
            self.seen.append(document.doc_id)
            rows.append({ord(c) - 1: document.full_text.count(c) for c in set(document.full_text) if ord(c) < 300})
        return SparseBatch.from_rows(rows, len(self.terms))

    def encode_queries(self, texts):
        return self.encode_documents([Document("", text) for text in texts])

    def save_query_side(self, folder):
        pass


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Put one window into a shard, unless a test says otherwise."""
    monkeypatch.setattr(encoding, "SHARD_DOCUMENTS", 1)


def corpus(n, start=0):
    return [Document(f"d{i}", f"text {i} " * (i % 5), title="title" if i % 3 else "") for i in range(start, n)]


def rows_of(result):
    """Every document's vector by term, in the order of the shards."""
    table = [row for path in result.shards for row in pq.read_table(path).to_pylist()]
    return [(row["id"], dict(zip(row["terms"], row["weights"], strict=True))) for row in table]


@given(
    st.lists(st.integers(0, 40), max_size=30),
    st.integers(1, 7),
    st.integers(1, 60),
    st.none() | st.integers(1, 12),
    st.none() | st.integers(1, 5),
)
def test_windows_hold_every_document_in_order_and_stay_small(
    lengths, max_documents, max_characters, max_tokens, text_length
):
    documents = [Document(str(i), "x" * length) for i, length in enumerate(lengths)]
    bounds = {"max_documents": max_documents, "max_characters": max_characters, "max_tokens": max_tokens}
    found = list(windows(documents, **bounds, text_length=text_length))
    assert [d for window in found for d in window] == documents
    for window in found:
        assert 0 < len(window) <= max_documents
        tokens = sum(min(text_length or 99, len(d.text) // CHARACTERS_PER_TOKEN + 1) for d in window)
        assert len(window) == 1 or sum(len(d.text) for d in window) <= max_characters
        assert len(window) == 1 or max_tokens is None or tokens <= max_tokens
    # What an interrupted run has left to do is cut as it would have been: nothing but documents decides.
    for done in range(len(found)):
        rest = documents[sum(map(len, found[:done])) :]
        assert list(windows(rest, **bounds, text_length=text_length)) == found[done:]


def test_a_text_counts_for_no_more_tokens_than_are_read_of_it():
    documents = [Document(str(i), "word " * 1000) for i in range(4)]
    assert [len(w) for w in windows(documents, max_tokens=512)] == [1, 1, 1, 1]
    assert [len(w) for w in windows(documents, max_tokens=512, text_length=256)] == [2, 2]


def test_shards_hold_every_document_with_its_vector(tmp_path):
    documents = corpus(23)
    result = encode_corpus(documents, Counter(), tmp_path / "out", window=5)
    assert (result.n_docs, result.n_resumed, len(result.shards)) == (23, 0, 5)
    encoder = Counter()
    vectors = encoder.encode_documents(documents)
    expected = [
        (d.doc_id, {encoder.terms[t]: w for t, w in zip(*vectors.row(i), strict=True)}) for i, d in enumerate(documents)
    ]
    assert rows_of(result) == expected
    first = pq.read_table(result.shards[0])
    assert [str(field.type) for field in first.schema] == [
        "string", "list<element: string>", "list<element: float>", "string", "string", "string",
    ]  # fmt: skip
    assert first["title"].to_pylist() == [d.title for d in documents[:5]]


def test_a_shard_holds_several_windows(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "SHARD_DOCUMENTS", 12)
    whole = rows_of(encode_corpus(corpus(23), Counter(), tmp_path / "one", window=100))
    result = encode_corpus(corpus(23), Counter(), tmp_path / "more", window=5)
    assert rows_of(result) == whole
    assert [pq.read_metadata(path).num_rows for path in result.shards] == [15, 8]
    with pytest.raises(KeyboardInterrupt):
        encode_corpus(corpus(23), Counter(fails_at="d11"), tmp_path / "broken", window=5)
    again = Counter()
    result = encode_corpus(corpus(23), again, tmp_path / "broken", window=7)
    assert rows_of(result) == whole and result.n_resumed == 10 and again.seen[0] == "d10"


def test_a_disk_that_is_full_leaves_no_half_shard(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(LsrError, match=f"can't write to {tmp_path}: No space left on device; free some space"):
        encode_corpus(corpus(7), Counter(), tmp_path, window=5)
    monkeypatch.undo()
    assert not list(tmp_path.glob("shard-*"))
    result = encode_corpus(corpus(7), Counter(), tmp_path, window=5)
    assert result.n_resumed == 0 and result.n_docs == 7


def test_titles_and_texts_can_be_left_out(tmp_path):
    result = encode_corpus(corpus(3), Counter(), tmp_path, with_text=False)
    assert pq.read_schema(result.shards[0]).names == ["id", "terms", "weights"]


@pytest.mark.parametrize("fails_at", ["d0", "d4", "d5", "d12", "d22"])
def test_an_interrupted_job_goes_on_where_it_was(tmp_path, fails_at):
    documents = corpus(23)
    whole = rows_of(encode_corpus(documents, Counter(), tmp_path / "whole", window=5))
    interrupted, again = Counter(fails_at=fails_at), Counter()
    with pytest.raises(KeyboardInterrupt):
        encode_corpus(documents, interrupted, tmp_path / "out", window=5)
    (tmp_path / "out" / "shard-000009.tmp").write_bytes(b"half")
    result = encode_corpus(iter(documents), again, tmp_path / "out", window=5)
    assert rows_of(result) == whole
    assert result.n_resumed == int(fails_at[1:]) // 5 * 5
    assert again.seen == [d.doc_id for d in documents[result.n_resumed :]]
    assert not list((tmp_path / "out").glob("*.tmp"))
    third = Counter()
    assert rows_of(encode_corpus(documents, third, tmp_path / "out", window=5)) == whole
    assert third.seen == []


def test_a_finished_job_takes_documents_that_came_behind(tmp_path):
    encode_corpus(corpus(10), Counter(), tmp_path, window=5)
    result = encode_corpus(corpus(13), Counter(), tmp_path, window=5)
    assert (result.n_docs, result.n_resumed) == (13, 10)
    result = encode_corpus(corpus(21), Counter(), tmp_path, window=5)
    assert (result.n_docs, result.n_resumed) == (21, 13)
    assert rows_of(result) == rows_of(encode_corpus(corpus(21), Counter(), tmp_path / "whole"))


@pytest.mark.parametrize(
    "changed", [corpus(10)[1:], corpus(4), [*corpus(9), Document("d9", "other")], corpus(10)[::-1], []]
)
def test_a_corpus_that_changed_is_not_mixed_with_what_it_was(tmp_path, changed):
    encode_corpus(corpus(10), Counter(), tmp_path, window=5)
    with pytest.raises(LsrError, match="aren't those that it was made of"):
        encode_corpus(changed, Counter(), tmp_path, window=5)


def test_another_encoder_or_other_settings_are_refused(tmp_path):
    encode_corpus(corpus(10), Counter(), tmp_path, window=5)
    with pytest.raises(LsrError, match="vectors of another encoder"):
        encode_corpus(corpus(10), Counter(revision="2"), tmp_path, window=5)
    with pytest.raises(LsrError, match="'with_text': True"):
        encode_corpus(corpus(10), Counter(), tmp_path, window=5, with_text=False)


def test_vectors_of_another_runtime_are_not_mixed_in(tmp_path):
    def counter(runtime):
        encoder = Counter()
        encoder.runtime = runtime
        return encoder

    in_float = Runtime("torch 2", "cpu", "float32", same_bits=False)
    encode_corpus(corpus(10), counter(in_float), tmp_path, window=5)
    with pytest.raises(LsrError, match="encoded by torch 2 float32 cpu, but now by lsr kernels int8 cpu"):
        encode_corpus(corpus(10), counter(INTEGER_KERNELS), tmp_path, window=5)
    assert encode_corpus(corpus(10), counter(in_float), tmp_path, window=5).n_resumed == 10
    assert encode_corpus(corpus(10), Counter(), tmp_path, window=5).n_resumed == 10  # it doesn't say


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.parquet").write_bytes(b"mine")
    with pytest.raises(LsrError, match="something else"):
        encode_corpus(corpus(1), Counter(), tmp_path)
    assert [path.name for path in tmp_path.glob("*.parquet")] == ["mine.parquet"]


def test_a_damaged_shard_or_job_is_named(tmp_path):
    encode_corpus(corpus(10), Counter(), tmp_path, window=5)
    (tmp_path / "shard-000001.parquet").write_bytes(b"PAR1")
    with pytest.raises(LsrError, match=r"shard-000001\.parquet is not a whole shard"):
        encode_corpus(corpus(10), Counter(), tmp_path, window=5)
    (tmp_path / "encode.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(LsrError, match="has format 99"):
        encode_corpus(corpus(10), Counter(), tmp_path, window=5)


def test_two_jobs_do_not_share_a_folder(tmp_path):
    with writer_lock(tmp_path), pytest.raises(IndexLockedError):
        encode_corpus(corpus(1), Counter(), tmp_path)


def test_an_encoder_that_needs_the_whole_corpus_has_no_vectors_of_its_own(tmp_path):
    with pytest.raises(UsageError, match="index the corpus instead"):
        encode_corpus(corpus(1), load_encoder("bm25"), tmp_path)
    with pytest.raises(UsageError, match="window is 0"):
        encode_corpus(corpus(1), Counter(), tmp_path, window=0)


def test_no_documents_give_no_shards(tmp_path):
    result = encode_corpus([], Counter(), tmp_path)
    assert result.shards == () and result.n_docs == 0


def test_lone_surrogates_and_empty_vectors_are_written(tmp_path):
    result = encode_corpus([Document("\ud800", "\udfff"), Document("2", "")], Counter(), tmp_path)
    assert rows_of(result) == [("?", {}), ("2", {})]


def test_ten_times_the_corpus_needs_no_more_memory(tmp_path):
    def peak(n, folder):
        documents = (Document(str(i), f"some text {i:04} " * 2000) for i in range(n))
        encoder = Counter()
        encoder.seen, encoder.text_length = deque(maxlen=0), 256
        tracemalloc.start()
        encode_corpus(documents, encoder, folder, window=20)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(50, tmp_path / "warm")
    assert peak(1000, tmp_path / "large") <= 1.1 * peak(100, tmp_path / "small")


def test_a_model_goes_through_shards_into_an_index(router_folder, tmp_path):
    encoder = load_encoder(router_folder)
    documents = [Document("1", "the cat sat on the mat"), Document("2", ""), Document("3", "dogs walk", title="run")]
    result = encode_corpus(documents, encoder, tmp_path / "out", window=2)
    ids = {term: i for i, term in enumerate(encoder.terms)}
    read = [batch for path in result.shards for batch in read_vectors(path, ids.get)]
    assert [d for found, _, _ in read for d in found] == documents
    vectors = SparseBatch.concatenate([vectors for _, vectors, _ in read])
    expected = encoder.encode_documents(documents)
    assert np.array_equal(vectors.term_ids, expected.term_ids)
    assert np.allclose(vectors.weights, expected.weights, atol=1e-6)
    manifest, notes = index_vectors(list(result.shards), tmp_path / "index", encoder=encoder)
    assert manifest.n_docs == 3 and notes == []


@pytest.fixture
def store(tmp_path, monkeypatch):
    pytest.importorskip("obstore", reason="obstore is not installed")
    monkeypatch.setattr(units, "SHARD_DOCUMENTS", 1)
    return f"file://{tmp_path}/bucket/vectors"


def of_store(tmp_path):
    paths = sorted((tmp_path / "bucket" / "vectors").glob("shard-*.parquet"))
    return encoding.EncodedCorpus(tmp_path, tuple(paths), 0, 0)


def test_a_store_gets_the_shards_of_a_folder(tmp_path, store):
    encode_corpus(corpus(23), Counter(), tmp_path / "folder", window=5)
    done = encode_to_store(corpus(23), Counter(), store, window=5)
    assert (done.n_docs, done.n_resumed, done.n_shards) == (23, 0, 5)
    assert rows_of(of_store(tmp_path)) == rows_of(encode_corpus(corpus(23), Counter(), tmp_path / "folder", window=5))
    names = {path.name for path in (tmp_path / "bucket" / "vectors").iterdir()}
    assert names == {"encode.json", *(f"shard-{number:06}.parquet" for number in range(5))}
    assert json.loads((tmp_path / "bucket" / "vectors" / "encode.json").read_text()) == json.loads(
        (tmp_path / "folder" / "encode.json").read_text()
    )


@pytest.mark.parametrize("fails_at", ["d0", "d5", "d12"])
def test_an_interrupted_job_in_a_store_resumes(tmp_path, store, fails_at):
    with pytest.raises(KeyboardInterrupt):
        encode_to_store(corpus(23), Counter(fails_at=fails_at), store, window=5)
    again = Counter()
    done = encode_to_store(corpus(23), again, store, window=5)
    assert done.n_docs == 23 and done.n_resumed == int(fails_at[1:]) // 5 * 5
    assert again.seen == [document.doc_id for document in corpus(23)[done.n_resumed :]]
    assert rows_of(of_store(tmp_path)) == rows_of(encode_corpus(corpus(23), Counter(), tmp_path / "whole", window=5))


def test_other_jobs_in_a_store_are_refused(tmp_path, store):
    encode_to_store(corpus(10), Counter(), store, window=5)
    with pytest.raises(LsrError, match="vectors of another encoder"):
        encode_to_store(corpus(10), Counter(revision="2"), store, window=5)
    with pytest.raises(LsrError, match="'with_text': True"):
        encode_to_store(corpus(10), Counter(), store, with_text=False)
    with pytest.raises(LsrError, match=r"shard-000000\.parquet: the documents aren't those"):
        encode_to_store(corpus(10)[1:], Counter(), store, window=5)
    folder = tmp_path / "bucket" / "vectors"
    (folder / "shard-000001.parquet").write_bytes((folder / "shard-000001.parquet").read_bytes()[:-9])
    with pytest.raises(LsrError, match=r"shard-000001\.parquet is no whole shard"):
        encode_to_store(corpus(10), Counter(), store, window=5)
    (folder / "encode.json").write_text("[1]")
    with pytest.raises(LsrError, match=r"encode\.json is no job"):
        encode_to_store(corpus(10), Counter(), store, window=5)
    (folder / "encode.json").unlink()
    with pytest.raises(LsrError, match="holds Parquet files of something else"):
        encode_to_store(corpus(10), Counter(), store, window=5)


def test_of_two_writers_of_a_store_one_wins(tmp_path, store):
    def overtaken():
        yield from corpus(10)[:5]
        encode_to_store(corpus(10), Counter(), store, window=5)
        yield from corpus(10)[5:]

    with pytest.raises(LsrError, match=r"another writer has put shard-000000\.parquet there"):
        encode_to_store(overtaken(), Counter(), store, window=10)
    assert rows_of(of_store(tmp_path)) == rows_of(encode_corpus(corpus(10), Counter(), tmp_path / "whole", window=5))
