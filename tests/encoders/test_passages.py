"""Long documents: cut into passages that lose nothing, found by the best of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.registry import load_encoder
from lsr.encoders.text import splitter as passages
from lsr.encoders.text.splitter import PassageSplitter, choose_splitter, split_documents
from lsr.errors import BadDocumentError, UsageError
from lsr.indexer.encode.document_reader import DocumentReader, reader_for
from lsr.indexer.encode.encode_corpus import encode_corpus
from lsr.indexer.pipeline import index_documents, index_vectors
from lsr.query.searcher import Searcher
from lsr.types import PASSAGE_OF, Document

WORDS = st.sampled_from(["the", "cat", "treehouse", "walkers", "zebra", "a", "café", "机机机", ".", "\n", "learned"])


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return tiny.tokenizer().backend_tokenizer


def length(tokenizer, document):
    return len(tokenizer.encode(document.full_text).ids)


@given(
    st.lists(WORDS, max_size=120).map(" ".join),
    st.integers(20, 40),
    st.integers(0, 8),
    st.sampled_from(["", "cat", "the cat sat on a mat . " * 9]),
)
@settings(max_examples=60, deadline=None)
def test_passages_fit_and_cover_the_text(tokenizer, text, max_length, overlap, title):
    document = Document("d", text, title, {"year": 2020})
    found = PassageSplitter(tokenizer, max_length, overlap=overlap).split(document)
    if length(tokenizer, document) <= max_length or not text.strip():
        assert found == [document]
        return
    covered = [False] * len(text)
    for number, passage in enumerate(found):
        start, end = passage.fields["passage_start"], passage.fields["passage_end"]
        assert passage.doc_id == (f"\x1f{number}\x1fd" if number else "d")
        assert passage.text == text[start:end] and title.startswith(passage.title)
        assert passage.fields[PASSAGE_OF] == "d" and passage.fields["year"] == 2020
        assert length(tokenizer, passage) <= max_length
        covered[start:end] = [True] * (end - start)
    assert all(is_covered or char.isspace() for is_covered, char in zip(covered, text, strict=True))


def test_passages_overlap_and_end_between_words(tokenizer):
    text = " ".join(["walkers learned treehouse"] * 40)
    found = PassageSplitter(tokenizer, 30, overlap=8).split(Document("d", text))
    words = set(text.split())
    assert len(found) > 5
    for before, after in pairwise(found):
        shared = before.fields["passage_end"] - after.fields["passage_start"]
        assert 0 < shared < len(before.text)
    for passage in found:
        assert set(passage.text.split()) <= words


def test_a_word_that_is_longer_than_a_passage_is_cut(tokenizer):
    found = PassageSplitter(tokenizer, 20, overlap=0).split(Document("d", "机" * 100))
    assert "".join(passage.text for passage in found) == "机" * 100


def test_blocks_change_nothing(tokenizer, monkeypatch):
    document = Document("d", "the cat sat on the mat . " * 100)
    whole = PassageSplitter(tokenizer, 30, overlap=5).split(document)
    monkeypatch.setattr(passages, "BLOCK_CHARACTERS", 100)
    assert PassageSplitter(tokenizer, 30, overlap=5).split(document) == whole


def test_settings_that_leave_no_room_are_refused(tokenizer):
    with pytest.raises(UsageError, match="max_length is 10"):
        PassageSplitter(tokenizer, 10)
    with pytest.raises(UsageError, match="overlap is 60"):
        PassageSplitter(tokenizer, 64, overlap=60)


FILLER = "the dog walks on a tree . " * 12
LONG = [
    Document("long", FILLER + "sparse retrieval index query . " + FILLER, fields={"year": 1999}),
    Document("twice", "sparse retrieval . " * 40),
    Document("short", "sparse walkers"),
    Document("other", "café"),
    *(Document(f"many{i}", "learned retrieval . " * (30 + i)) for i in range(12)),
]


def by_document(hits):
    """Each document's best score, best first."""
    best: dict[str, float] = {}
    for hit in hits:
        best.setdefault(hit.doc_id.rpartition("\x1f")[2], hit.score)
    return list(best.items())


@pytest.fixture(scope="module", params=["bm25", "a model"])
def indexes(request, router_folder, tmp_path_factory):
    """Make an index of passages, and the same one without their marks."""
    folder = tmp_path_factory.mktemp("passages")
    encoder = load_encoder("bm25" if request.param == "bm25" else router_folder)
    splitter = choose_splitter(encoder, overlap=4, max_length=20 if request.param == "bm25" else None)
    index_documents(LONG, folder / "passages", encoder, reader=DocumentReader(splitter))
    index_documents(split_documents(LONG, splitter), folder / "plain", encoder)
    return Searcher(folder / "passages"), Searcher(folder / "plain")


@pytest.mark.parametrize("k", [1, 2, 3, 14, 100])
@pytest.mark.parametrize("query", ["sparse retrieval", "tree walks", "learned", "café", "", "zebra"])
def test_documents_are_found_once_each_by_their_best_passage(indexes, query, k):
    searcher, plain = indexes
    expected = by_document(plain.search(query, k=len(plain.index)))
    hits = searcher.search(query, k=k)
    assert [(hit.doc_id, hit.score) for hit in hits] == expected[:k]
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert Searcher(searcher.index, once=True).search(query, k=k) == hits


def test_a_batch_and_a_run_hold_documents_too(indexes):
    searcher, _ = indexes
    queries = ["sparse retrieval", "learned", "tree"] * 12
    expected = [searcher.search(query, k=5) for query in queries]
    assert searcher.search(queries, k=5, threads=2) == expected
    rankings = searcher.rank(searcher.encode(queries), k=5, threads=2)
    assert [searcher.doc_ids(ranking) for ranking in rankings] == [[hit.doc_id for hit in hits] for hits in expected]


def test_a_hit_shows_the_passage_and_where_it_stands(indexes):
    searcher, _ = indexes
    texts = {document.doc_id: document.text for document in LONG}
    hits = searcher.search("sparse retrieval café", k=30)
    whole = {hit.doc_id for hit in hits if hit.passage is None}
    assert whole == {"short", "other"} & {hit.doc_id for hit in hits}
    for hit in hits:
        start, end = hit.passage or (0, len(texts[hit.doc_id]))
        assert hit.text == texts[hit.doc_id][start:end]
    assert len(next(hit for hit in hits if hit.doc_id == "long").text) < len(LONG[0].text)


def test_an_explanation_is_of_the_passage(indexes):
    searcher, _ = indexes
    explained = searcher.explain("sparse retrieval", k=5)
    assert [replace(found.hit, terms=None) for found in explained.hits] == list(
        searcher.search("sparse retrieval", k=5)
    )
    for found in explained.hits:
        assert sum(term.contribution for term in found.terms) == pytest.approx(found.hit.score)


def test_the_passage_with_the_words_is_the_best(tmp_path):
    encoder = load_encoder("bm25")
    index_documents(LONG, tmp_path, encoder, reader=reader_for(encoder, passages=True, overlap=4, max_length=20))
    (hit,) = (hit for hit in Searcher(tmp_path).search("query") if hit.doc_id == "long")
    assert "sparse retrieval index query" in hit.text


def test_the_manifest_says_how_documents_were_cut(indexes):
    searcher, plain = indexes
    assert plain.index.manifest.passages is None
    assert searcher.index.manifest.passages["overlap"] == 4
    document = next(iter(searcher.index.segments[0].documents))
    assert document.fields["year"] == 1999


def test_passages_that_were_encoded_before_are_found_as_documents(router_folder, tmp_path, indexes):
    encoder = load_encoder(router_folder)
    shards = encode_corpus(split_documents(LONG, encoder.splitter(overlap=4)), encoder, tmp_path / "out").shards
    manifest, _ = index_vectors(list(shards), tmp_path / "index", encoder=encoder)
    assert manifest.passages == {}
    index_documents(LONG, tmp_path / "direct", encoder, reader=DocumentReader(encoder.splitter(overlap=4)))
    direct, ready = Searcher(tmp_path / "direct"), Searcher(tmp_path / "index")
    assert ready.search("sparse retrieval", k=5) == direct.search("sparse retrieval", k=5)


def test_two_documents_of_one_id_are_noticed_although_both_are_cut(tmp_path):
    encoder = load_encoder("bm25")
    documents = [Document("same", "a few words " * 200), Document("x", "y"), Document("same", "other words " * 200)]
    with pytest.raises(BadDocumentError, match="doc_id same is there twice"):
        index_documents(documents, tmp_path / "index", encoder, reader=DocumentReader(choose_splitter(encoder)))


def test_a_field_of_that_name_is_refused(tmp_path):
    encoder = load_encoder("bm25")
    documents = [Document("d", "words", fields={"passage_of": "book"})]
    with pytest.raises(BadDocumentError, match="document d: the name of its field 'passage_of' is reserved"):
        index_documents(documents, tmp_path / "index", encoder, reader=DocumentReader(choose_splitter(encoder)))
    index_documents(documents, tmp_path / "index", encoder)
    assert Searcher(tmp_path / "index").search("words")[0].doc_id == "d"


def test_the_encoder_that_reads_less_decides(plain_folder, router_folder):
    encoder, dense = load_encoder(router_folder), load_dense(plain_folder, max_length=40)
    assert choose_splitter(encoder).settings == {"overlap": 15, "max_length": 64}
    assert choose_splitter(encoder, dense, overlap=3).settings == {"overlap": 3, "max_length": 40}
    assert choose_splitter(load_encoder("bm25"), dense, overlap=3).settings["max_length"] == 40
    assert choose_splitter(load_encoder("bm25")).settings == {"overlap": 32, "max_length": 200}
    with pytest.raises(UsageError, match="passages of 41 tokens are longer than the 40 that encoder"):
        choose_splitter(encoder, dense, max_length=41)
