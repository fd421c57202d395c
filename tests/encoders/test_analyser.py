"""The word analyser: which terms a text gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.encoders.lexical.analyser import MAX_WORD_LENGTH, Analyser, AnalyserSettings
from lsr.encoders.lexical.stop_words import ENGLISH_STOP_WORDS
from lsr.errors import EncoderError, UsageError

PLAIN = Analyser(AnalyserSettings(stemmer="none", stop_words="none"))
ENGLISH = Analyser()


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The runners were RUNNING", ["runner", "were", "run"]),
        ("Newton's laws", ["newton", "law"]),
        ("os.path.join(str_replace)", ["os", "path", "join", "str", "replac"]),
        ("to be or not to be", []),
        ("covid19 2,500", ["covid19", "2", "500"]),
        ("", []),
        (" \t\n", []),
    ],
)
def test_english_text_gives_stemmed_terms_without_stop_words(text, terms):
    assert ENGLISH.terms(text) == terms


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't O’Brien", ["don't", "o’brien"]),
        ("Ünïcode STRASSE", ["ünïcode", "strasse"]),
        ("cafe\u0301", ["café"]),
        ("ＦＵＬＬ ﬁnd", ["full", "find"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("机器 learning", ["机", "器", "learning"]),
        ("snake_case é_e", ["snake", "case", "é", "e"]),
        ("a\x00b", ["a", "b"]),
        ("lone\ud800surrogate", ["lone", "surrogate"]),
        ("--- ''' …", []),
    ],
)
def test_words_of_every_script_are_found(text, words):
    assert PLAIN.words(text) == words


def test_there_are_33_english_stop_words():
    assert len(ENGLISH_STOP_WORDS) == 33


def test_an_endless_word_is_cut():
    assert PLAIN.terms("x" * 10_000_000) == ["x" * MAX_WORD_LENGTH]


@given(st.text())
def test_any_text_gives_terms_that_are_plain_words(text):
    for term in ENGLISH.terms(text):
        assert term
        assert term.encode()  # no lone surrogate survives
        assert "\x00" not in term and " " not in term


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_text_gives_the_same_words_beside_other_scripts(text):
    assert PLAIN.words(text + " é")[:-1] == PLAIN.words(text)


def test_threads_may_share_an_analyser():
    texts = ["running walkers happily generalisations " * 50] * 64
    with ThreadPoolExecutor(8) as pool:
        assert {tuple(terms) for terms in pool.map(ENGLISH.terms, texts)} == {tuple(ENGLISH.terms(texts[0]))}


def test_unknown_settings_are_refused():
    with pytest.raises(UsageError, match=r"no stemmer 'klingon'.*english"):
        AnalyserSettings(stemmer="klingon")
    with pytest.raises(UsageError, match="no stop words 'none at all'"):
        AnalyserSettings(stop_words="none at all")
    with pytest.raises(EncoderError, match="unknown settings emoji"):
        AnalyserSettings.from_json({"stemmer": "english", "emoji": True})


def test_settings_survive_json_and_have_their_own_fingerprint():
    settings = AnalyserSettings(stemmer="german", stop_words="none")
    assert AnalyserSettings.from_json(settings.to_json()) == settings
    assert settings.fingerprint() != AnalyserSettings().fingerprint()
