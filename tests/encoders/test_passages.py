"""Long documents: cut into passages that lose nothing, found by the best of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders import passages
from lsr.encoders.passages import PASSAGE_OF, PassageSplitter, split_documents
from lsr.encoders.registry import load_encoder
from lsr.errors import UsageError
from lsr.indexer.pipeline import index_documents
from lsr.query.passages import search_documents
from lsr.query.searcher import Searcher
from lsr.types import Document

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
        assert passage.doc_id == f"d#{number}" and passage.text == text[start:end] and title.startswith(passage.title)
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


def test_a_document_is_found_once_by_its_best_passage(router_folder, tmp_path):
    encoder = load_encoder(router_folder)
    splitter = encoder.splitter(overlap=4)
    filler = "the dog walks on a tree . " * 12
    documents = [
        Document("long", filler + "sparse retrieval index query . " + filler),
        Document("twice", "sparse retrieval . " * 40),
        Document("short", "sparse walkers"),
        Document("other", "café"),
    ]
    split = list(split_documents(documents, splitter))
    assert len(split) > len(documents) and split[-1] == documents[-1]
    index_documents(split, tmp_path / "index", encoder)
    searcher = Searcher(tmp_path / "index")
    everything = searcher.search("sparse retrieval", len(split))
    expected: dict[str, float] = {}
    for hit in everything:
        expected.setdefault(hit.doc_id.partition("#")[0], hit.score)
    for k in (1, 2, 3, 10):
        hits = search_documents(searcher, "sparse retrieval", k)
        assert [(hit.doc_id, hit.score) for hit in hits] == list(expected.items())[:k]
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    best = next(hit for hit in search_documents(searcher, "sparse retrieval") if hit.doc_id == "long")
    assert best.text in documents[0].text and len(best.text) < len(documents[0].text)


def test_nothing_found_is_no_hit(router_folder, tmp_path):
    encoder = load_encoder(router_folder)
    index_documents([Document("1", "cat")], tmp_path / "index", encoder)
    assert search_documents(Searcher(tmp_path / "index"), "") == []
