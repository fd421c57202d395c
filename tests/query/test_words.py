"""Terms are found where they stand in a text, by the words or the tokens that the index was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from lsr.encoders.lexical.analyser import NEWEST, Analyser, AnalyserSettings
from lsr.query.explain.term_spans import AnalysedWords, Tokens, term_finder
from lsr.query.query_encoders import QueryEncoders

PIECES = ["[UNK]", "em", "##bol", "##ism", "cafe", "the", "東", "."]


def word_pieces() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.enable_truncation(3)  # is taken away again: texts are looked through whole
    return tokenizer


def found(finder: Any, text: str) -> list[tuple[str, str]]:
    return [(text[start:end], term) for start, end, term in finder.find(text)]


def test_stems_stand_where_their_words_do() -> None:
    text = "The patient’s EMBOLISMS, (embolism) – not cafe\u0301 and café"
    assert found(AnalysedWords(), text) == [
        ("patient’s", "patient"), ("EMBOLISMS", "embol"), ("embolism", "embol"), ("cafe\u0301", "café"),
        ("café", "café"),
    ]  # fmt: skip


def test_pieces_stand_where_the_tokenizer_says() -> None:
    text = "Embolism in the Café. 東"
    assert found(Tokens(word_pieces()), text) == [
        ("Em", "em"), ("bol", "##bol"), ("ism", "##ism"), ("in", "in"), ("the", "the"), ("Café", "cafe"),
        (".", "."), ("東", "東"),
    ]  # fmt: skip


@settings(deadline=None)
@given(st.text(max_size=200))
def test_every_term_of_any_text_is_found_and_every_place_lies_in_it(text: str) -> None:
    for how in (AnalyserSettings(), AnalyserSettings("none", "none")):
        spans = AnalysedWords(how).find(text)
        assert {span.term for span in spans} == set(Analyser(how).terms(text))
        assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(0 <= span.start < span.end <= len(text) for span in Tokens(word_pieces()).find(text))


@settings(deadline=None)
@given(st.lists(st.text("abc -.\u0301é\n", max_size=30), max_size=12), st.sets(st.sampled_from(["a", "b", "ab", "c"])))
def test_some_terms_are_found_as_among_all(texts: list[str], wanted: set[str]) -> None:
    how = AnalyserSettings("none", "none")
    finder, small = AnalysedWords(how), AnalysedWords(how, most_known=3)  # forgets all the time
    for text in [*texts, *texts]:
        expected = sorted(span for span in finder.find(text) if span.term in wanted)
        assert finder.find_some(text, wanted) == expected
        assert small.find_some(text, wanted) == expected


def test_identifiers_and_pairs_of_ideographs_are_found_wherever_they_stand() -> None:
    finder = AnalysedWords(AnalyserSettings("none", "none", NEWEST))
    text = "東京東京: a.b_c,f(x) f()–Ål-1🎉👍🏽"
    there = [span for span in found(finder, text) if len(span[1]) > 1 or span[1] == "👍"]
    assert there == [
        ("東京", "東京"), ("京東", "京東"), ("東京", "東京"), ("a.b_c", "a.b_c"), ("b_c", "b_c"), ("f", "f()"),
        ("f()", "f()"), ("Ål", "al"), ("Ål-1", "al-1"), ("👍🏽", "👍"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["東京" * 15_000 + " 京", "word " * 6_000 + "others", "a->" * 10_000])
def test_long_texts_and_chunks_are_looked_through_and_not_cached(text: str) -> None:
    finder = AnalysedWords(AnalyserSettings("none", "none", NEWEST), most_known=30)
    wanted = {"京東", "京", "word", "others", "a"}
    expected = [span for span in finder.find(text) if span.term in wanted]
    assert expected
    assert finder.find_some(text, wanted) == expected
    known = finder._known
    assert not known.texts.get(text)
    assert known.characters < 100 and sum(map(len, known.chunks)) < 100


def test_terms_of_chunks_that_are_not_cached_are_forgotten() -> None:
    finder = AnalysedWords(AnalyserSettings("none", "none"), most_known=10)
    for start in range(0x4E00, 0x5E00, 0x400):
        finder.find_some("".join(map(chr, range(start, start + 0x400))), {"x"})
        assert len(finder._known.numbers) <= 0x400


def finder_of(index: Any) -> Any:
    return term_finder(index.manifest.encoder, QueryEncoders(index).sparse, index.vocabulary)


def test_ready_vectors_of_word_pieces_are_found_by_their_own_vocabulary(tmp_path: Path, collections: Any) -> None:
    pieces = collections.write_index(tmp_path / "pieces", [{"em": 1.0, "##bol": 2.0, "##ism": 1.0, "##s": 1.0}])
    assert found(finder_of(pieces), "Embolisms now") == [
        ("Em", "em"), ("bol", "##bol"), ("ism", "##ism"), ("s", "##s"), ("now", "now"),
    ]  # fmt: skip
    words = collections.write_index(tmp_path / "words", [{"the": 1.0, "cats": 2.0}])
    assert found(finder_of(words), "The Cats") == [("The", "the"), ("Cats", "cats")]
