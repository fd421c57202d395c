"""Identifiers, accents, languages, ideographs and emoji as terms; old indexes keep the analysis that they had."""

from __future__ import annotations

from pathlib import Path

import pytest

import lsr
from lsr.encoders.lexical.analyser import NEWEST, WORDS_ALONE, Analyser, AnalyserSettings
from lsr.encoders.lexical.bm25 import BM25Encoder
from lsr.encoders.lexical.language import languages, read_stop_words, settings_for
from lsr.errors import EncoderError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.query.searcher import Searcher
from lsr.types import Document

DOCUMENTS = {
    "rfc": "HTTP semantics are specified in RFC-9110 of the IETF.",
    "rfc, not this": "The RFC series; number 9110 is a zip code. RFC 9111 caches. An RFC again, RFC.",
    "call": "Call foo_bar() to start the engine.",
    "call, not this": "The foo and the bar: foo, bar, foo, bar. A foo bar.",
    "c++": "A program written in C++ with templates.",
    "c#": "A program written in C# with generics. C and C again.",
    "c": "A program in C. The language C. C.",
    "net": "The runtime .NET is portable.",
    "net, not this": "Fish in a net. The net was wide. Net, net.",
    "path": "Settings live in /etc/ssh/sshd_config on most hosts.",
    "path, not this": "The ssh daemon has a config in etc. sshd, config, etc, ssh.",
    "error": "The compiler reports E0308: mismatched types.",
    "error, not this": "The compiler reports E0277 for missing traits.",
    "version": "Released with Python 3.11.7 in winter.",
    "version, not this": "Chapter 3, section 11, page 7: 3 apples, 11 pears, 7 plums. 3 11 7",
    "file": "The entry point is src/main.rs in the crate.",
    "file, not this": "The main src folder; src, main, rs.",
    "flag": "Run with --dry-run to see.",
    "flag, not this": "A dry run in the dry season; run, dry run.",
}
QUERIES = {
    "RFC-9110": "rfc", "foo_bar()": "call", "foo_bar": "call", "C++": "c++", "c#": "c#", ".net": "net", ".NET": "net",
    "/etc/ssh/sshd_config": "path", "sshd_config": "path", "E0308": "error", "3.11.7": "version",
    "src/main.rs": "file", "main.rs": "file", "--dry-run": "flag", "how do I call foo_bar()?": "call",
    "templates in C++": "c++",
}  # fmt: skip


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    path = tmp_path_factory.mktemp("identifiers") / "index"
    lsr.index([{"id": name, "text": text} for name, text in DOCUMENTS.items()], path, encoder="bm25").close()
    return Searcher(path)


@pytest.mark.parametrize(("query", "found"), QUERIES.items())
def test_an_identifier_finds_its_document_first(searcher: Searcher, query: str, found: str) -> None:
    assert searcher.search(query, k=1)[0].doc_id == found


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("see foo_bar(x, y)!", ["foo_bar()", "foo_bar"]),
        ("Mod::do_it()", ["mod::do_it()", "do_it()", "mod::do_it", "do_it"]),
        ("IL-6 and v1.2.3, 10.0.0.1", ["il-6", "v1.2.3", "10.0.0.1"]),
        (r"C:\Win\x.txt", [r"c:\win\x.txt", "x.txt"]),
        ("state-of-the-art and/or word(s), i.e. 0.05 10-20 U.S.", []),
        ("no signs here, it's plain. (really)", []),
        ("-x - -- + . / ()", []),
    ],
)
def test_identifiers_are_terms_beside_the_words(text: str, terms: list[str]) -> None:
    analyser = Analyser(AnalyserSettings(version=NEWEST))
    assert analyser.signed(text) == terms
    assert analyser.words(text) == analyser.plain_words(text) + terms


def test_identifiers_make_no_document_longer(tmp_path: Path) -> None:
    for name, texts in (("signed", ["a_b c d", "x y z w"]), ("words", ["a b c d", "x y z w"])):
        lsr.index(texts, tmp_path / name, encoder="bm25").close()
    assert Searcher(tmp_path / "signed").search("c")[0].score == pytest.approx(
        Searcher(tmp_path / "words").search("c")[0].score, rel=0.01
    )


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Crème brûlée", "creme brulee"),
        ("creme", "crème"),
        ("Straße", "strasse"),
        ("東京都に住む", "京都"),
        ("a great 🎉👍🏽 party", "👍"),
        ("Ångström", "angstrom"),
    ],
)
def test_words_are_found_without_accents_and_ideographs_and_emoji_at_all(tmp_path: Path, text: str, query: str) -> None:
    index = lsr.index([text, "nothing"], tmp_path / "index", encoder="bm25")
    assert [hit.doc_id for hit in index.search(query)] == ["0"]


def test_two_ideographs_together_count_more_than_apart(tmp_path: Path) -> None:
    index = lsr.index(["東に京がある", "東京がある町"], tmp_path / "index", encoder="bm25")
    assert [hit.doc_id for hit in index.search("東京")] == ["1", "0"]


@pytest.mark.parametrize(
    ("language", "text", "query", "stop_word"),
    [
        ("german", "Die Häuser über dem Fluß", "haus", "über"),
        ("french", "l'homme et les femmes générales", "hommes", "les"),
        ("spanish", "las naciones unidas", "nación", "las"),
        ("russian", "большие дома и города", "дом", "и"),
        ("swedish", "husen är gröna", "hus", "är"),
        ("none", "Häuser", "hauser", ""),
    ],
)
def test_words_of_a_language_are_stemmed_and_its_stop_words_left_out(
    tmp_path: Path, language: str, text: str, query: str, stop_word: str
) -> None:
    index = lsr.index([text, "x"], tmp_path / "index", encoder="bm25", language=language)
    assert [hit.doc_id for hit in index.search(query)] == ["0"]
    assert not stop_word or not index.search(stop_word)
    with StoredIndex.open(tmp_path / "index") as stored:
        assert stored.manifest.encoder["settings"]["analyser"]["stemmer"] == language
    index.add([{"id": "more", "text": text}])
    assert {hit.doc_id for hit in index.search(query)} == {"0", "more"}


def test_stop_words_of_a_file_are_stored_with_the_index(tmp_path: Path) -> None:
    (tmp_path / "stop.txt").write_text("# mine\nFoo bar # two\nbaz\n", encoding="utf-8")
    words = read_stop_words(tmp_path / "stop.txt")
    assert words == ("bar", "baz", "foo")
    index = lsr.index(["foo the cat", "bar"], tmp_path / "index", encoder="bm25", stop_words=words)
    (tmp_path / "stop.txt").unlink()
    opened = lsr.open(tmp_path / "index")
    assert [[hit.doc_id for hit in each.search("foo the")] for each in (index, opened)] == [["0"], ["0"]]
    assert not opened.search("foo bar baz")


def test_every_language_makes_an_analyser() -> None:
    for language in languages():
        assert Analyser(settings_for(language)).terms("9110 x") == ["9110", "x"] or language in ("esperanto", "irish")


@pytest.mark.parametrize("wrong", ["klingon", "", "English-US"])
def test_an_unknown_language_is_refused_with_those_that_there_are(wrong: str) -> None:
    with pytest.raises(UsageError, match="take one of none, arabic"):
        settings_for(wrong)


def test_what_is_no_list_of_stop_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin1").write_bytes("über".encode("latin-1"))
    with pytest.raises(UsageError, match="it is not UTF-8"):
        read_stop_words(tmp_path / "latin1")
    with pytest.raises(UsageError, match="No such file"):
        read_stop_words(tmp_path / "none")
    with pytest.raises(UsageError, match="goes with the name of an encoder"):
        lsr.index(["a"], tmp_path / "index", encoder=lsr.load_encoder("bm25"), language="german")


def test_an_index_without_a_recorded_version_keeps_its_analysis(tmp_path: Path) -> None:
    old = BM25Encoder(AnalyserSettings())
    assert old.description["revision"] == "7f3b4b5a660db9e8fc993f5cbb18f7063398e1d8519db864eb124979e54e8c56"
    assert old.description["settings"]["analyser"] == {"stemmer": "english", "stop_words": "english"}
    index_documents(iter([Document("a", "foo_bar() crème 東京")]), tmp_path / "index", old)
    with StoredIndex.open(tmp_path / "index") as stored:
        assert sorted(stored.vocabulary) == ["bar", "crème", "foo", "京", "東"]
    index = lsr.open(tmp_path / "index")
    index.add([{"id": "b", "text": "foo_bar() brûlée"}])
    with StoredIndex.open(tmp_path / "index") as stored:
        assert sorted(stored.vocabulary) == ["bar", "brûlée", "crème", "foo", "京", "東"]
    assert [hit.doc_id for hit in index.search("foo_bar()")] == ["b", "a"]


def test_an_analysis_of_a_newer_program_is_refused() -> None:
    with pytest.raises(EncoderError, match="made by a newer program"):
        AnalyserSettings(version=NEWEST + 1)
    assert AnalyserSettings.from_json({"stemmer": "none", "stop_words": ["a"]}).version == WORDS_ALONE
