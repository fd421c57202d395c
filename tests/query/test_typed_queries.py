"""Phrases, +word and -word: the best of the documents that hold what they ask for, by a plain reading of all texts."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lsr
from lsr.cli.main import main
from lsr.encoders.lexical.analyser import AnalyserSettings
from lsr.encoders.lexical.bm25 import BM25Encoder
from lsr.encoders.lexical.phrase import Phrase
from lsr.encoders.registry import load_encoder
from lsr.encoders.text.splitter import choose_splitter
from lsr.errors import UsageError
from lsr.indexer.encode.document_reader import DocumentReader
from lsr.indexer.pipeline import index_documents
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.update.update import delete_documents
from lsr.indexer.write.writer import IndexWriter
from lsr.query import typed_ranking
from lsr.query.filters.held_phrases import HeldPhrases
from lsr.query.filters.language import FilterError
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.query.stages import encode_typed
from lsr.query.typed_query import MOST_OPERATORS, parse_query
from lsr.types import Document, SparseBatch

WORDS = ("heart", "attack", "café", "cafe", "Cafés", "the", "run", "running", "O'Neill", "x", "naïve",
         "STRASSE", "straße", "mates")  # fmt: skip
WORD = st.sampled_from(WORDS)


def plain(text: str) -> list[str]:
    """Return words without case and accents, as a reader would: the oracle's own way."""
    text = unicodedata.normalize("NFD", text.lower().replace("ß", "ss"))
    return re.findall(r"[a-z0-9]+(?:'[a-z0-9]+)*", "".join(c for c in text if not unicodedata.combining(c)))


def holds(document: Document, phrase: str) -> bool:
    wanted = plain(phrase)
    for words in (plain(document.title), plain(document.text)):
        if any(words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1)):
            return True
    return False


def texts(seed: int, n: int) -> list[Document]:
    rng = np.random.default_rng(seed)
    some = [" ".join(rng.choice(WORDS, rng.integers(0, 9))) for _ in range(2 * n)]
    return [Document(f"d{i}", some[2 * i], some[2 * i + 1] if i % 3 == 0 else "") for i in range(n)]


@pytest.fixture(scope="module", params=["newest", "words alone"])
def searched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Searcher, list[Document]]:
    """120 documents, some deleted; by posting lists of folded words, and by an analysis that doesn't fold."""
    path = tmp_path_factory.mktemp("typed") / "index"
    documents = texts(7, 120)
    encoder = load_encoder("bm25") if request.param == "newest" else BM25Encoder(AnalyserSettings())
    index_documents(iter(documents), path, encoder)
    gone = [document.doc_id for document in documents[::10]]
    delete_documents(gone, path)
    return Searcher(path), [document for document in documents if document.doc_id not in gone]


@pytest.fixture(scope="module", autouse=True)
def few_read_by_rank() -> Iterator[None]:
    """Read documents by rank for every query, and soon no more."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"FEW": -1, "AHEAD": 1, "MOST_READ": 24}.items():
            patch.setattr(typed_ranking, name, value)
        yield


def test_of_documents_that_mostly_hold_a_word_few_are_read(
    searched: tuple[Searcher, list[Document]], monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher, _ = searched
    read: list[int] = []
    which_meet = HeldPhrases.which_meet

    def counted(held: HeldPhrases, positions: Any, conditions: Any) -> Any:
        read.append(len(positions))
        return which_meet(held, positions, conditions)

    monkeypatch.setattr(HeldPhrases, "which_meet", counted)
    monkeypatch.setattr(HeldPhrases, "meet", lambda *_: pytest.fail("all texts are read"))
    for query in ("heart -naïve", "+heart attack", "+heart +attack -mates"):
        assert len(Searcher(searcher.index).search(query, k=3)) == 3
    assert len(read) >= 3 and sum(read) <= 72


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    free=st.lists(WORD, max_size=2),
    required=st.lists(st.lists(WORD, min_size=1, max_size=3), max_size=2),
    excluded=st.lists(st.lists(WORD, min_size=1, max_size=2), max_size=2),
    k=st.sampled_from([1, 5, 200]),
)
def test_the_best_of_the_documents_that_meet_the_conditions_are_found(
    searched: tuple[Searcher, list[Document]], free: list[str], required: Any, excluded: Any, k: int
) -> None:
    searcher, documents = searched
    if not free and not required:
        return
    asked, barred = [" ".join(words) for words in required], [" ".join(words) for words in excluded]
    query = " ".join([*free, *(f'"{phrase}"' for phrase in asked), *(f'-"{phrase}"' for phrase in barred)])
    meeting = {
        document.doc_id
        for document in documents
        if all(holds(document, phrase) for phrase in asked) and not any(holds(document, phrase) for phrase in barred)
    }
    scored = searcher.search(" ".join([*free, *asked]), k=1000, plain=True)
    expected = [hit.doc_id for hit in scored if hit.doc_id in meeting]
    if required:
        expected += [d.doc_id for d in documents if d.doc_id in meeting and d.doc_id not in expected]
    assert [hit.doc_id for hit in searcher.search(query, k=k)] == expected[:k]  # by rank, where that finds enough
    found = searcher.search(query, k=k, total=True)
    assert [hit.doc_id for hit in found] == expected[:k]
    assert found.total == len(expected)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORD, min_size=1, max_size=3), field=st.sampled_from(["title", "text"]))
def test_a_filter_tests_title_and_text_for_a_phrase(
    searched: tuple[Searcher, list[Document]], words: list[str], field: str
) -> None:
    searcher, documents = searched
    phrase = " ".join(words)
    quoted = phrase.replace("'", "\\'")
    allowed = searcher.filter(f"{field} ~ '{quoted}'").positions(searcher.index)
    found = [searcher.document(position).doc_id for position in allowed.tolist()]
    assert found == [d.doc_id for d in documents if holds(Document("", getattr(d, field)), phrase)]


PASSAGES = st.lists(WORD, min_size=80, max_size=200)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bodies=st.lists(PASSAGES, min_size=2, max_size=5),
    phrase=st.lists(WORD, min_size=1, max_size=3),
    overlap=st.sampled_from([0, 3]),
)
def test_a_document_in_passages_holds_what_it_held_as_a_whole(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[list[str]], phrase: list[str], overlap: int
) -> None:
    path = tmp_path_factory.mktemp("passages") / "index"
    documents = [Document(f"d{i}", " ".join(["all", *words])) for i, words in enumerate(bodies)]
    encoder = load_encoder("bm25")
    reader = DocumentReader(choose_splitter(encoder, None, overlap=overlap, max_length=32))
    index_documents(iter(documents), path, encoder, reader=reader)
    searcher, said = Searcher(path), " ".join(phrase)
    inside = {d.doc_id for d in documents if holds(d, said)}
    assert {hit.doc_id for hit in searcher.search(f'"{said}"', k=50)} == inside
    assert {hit.doc_id for hit in searcher.search(f'all -"{said}"', k=50)} == {d.doc_id for d in documents} - inside
    assert searcher.search(f'"{said}"', k=50, total=True).total == len(inside)
    for query in (f'"{said}"', f'all -"{said}"'):
        by_rank, all_read = Searcher(path).search(query, k=2), searcher.search(query, k=50)
        assert [hit.doc_id for hit in by_rank] == [hit.doc_id for hit in all_read][:2]


@pytest.mark.parametrize(
    ("typed", "text", "required", "excluded"),
    [
        ('"a phrase" here', "a phrase here", ["a phrase"], []),
        ('-"not this" but that', "but that", [], ["not this"]),
        ('+must +"have all" -never', "must have all", ["must", "have all"], ["never"]),
        ("“curly quotes” and «angled»", "curly quotes and angled", ["curly quotes", "angled"], []),
        ('say "no", or "yes"!', "say no, or yes!", ["no", "yes"], []),
        ("-.net -foo_bar() code", "code", [], [".net", "foo_bar()"]),
    ],
)
def test_operators_become_conditions(typed: str, text: str, required: list[str], excluded: list[str]) -> None:
    query = parse_query(typed)
    assert query.text == text
    assert query.conditions is not None
    assert list(query.conditions.required) == [Phrase.of(phrase) for phrase in required]
    assert list(query.conditions.excluded) == [Phrase.of(phrase) for phrase in excluded]


@pytest.mark.parametrize(
    "text",
    [
        "state-of-the-art", "C++ and C--", "a - b", "--dry-run x", '5" disk and 3" disk', 'one "quote alone', '""',
        "a+b", '- + "',
        'a "b"c" d', "-> x", "+", "-",
    ],
)  # fmt: skip
def test_other_signs_say_nothing(text: str) -> None:
    assert parse_query(text).text == text
    assert parse_query(text).conditions is None


def test_a_query_that_only_excludes_is_refused_and_says_what_helps() -> None:
    with pytest.raises(UsageError, match="only excludes: give a word to search for, or --plain"):
        parse_query('-one -"two three"')
    with pytest.raises(UsageError, match=f"the limit is {MOST_OPERATORS}"):
        parse_query("+a " * (MOST_OPERATORS + 1))


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("state of the art", "The State-of-the-Art, now", True),
        ("C++", "written in C++.", True),
        ("C++", "written in C.", False),
        ("C++ templates", "C++ is C templates", False),
        (".net core", "on .NET Core", True),
        ("net core", "on .NET Core", True),
        ("user", "the user's guide", True),
        ("use", "the user", False),
        ("Neill", "O'Neill", False),
        ("creme brulee", "CRÈME\n  Brûlée", True),
        ("東京都", "東京都に住む", True),
        ("京東", "東京都", False),
        ("🎉", "a 🎉 party", True),
        ("ﬁne", "fine", True),
    ],
)
def test_a_phrase_is_whole_words_in_any_case(phrase: str, text: str, found: bool) -> None:
    assert Phrase.of(phrase).is_in(text) is found


def test_a_plain_query_has_no_operators(searched: tuple[Searcher, list[Document]]) -> None:
    searcher, _ = searched
    plain_text = searcher.search("heart attack", k=200)
    assert [h.doc_id for h in searcher.search('"heart" -attack', k=200, plain=True)] == [h.doc_id for h in plain_text]


def test_many_queries_are_answered_as_one_is(searched: tuple[Searcher, list[Document]]) -> None:
    searcher, _ = searched
    queries = ['"heart attack"', "heart -attack", "heart", '+café "the heart"']
    assert searcher.search(queries, k=30) == [searcher.search(query, k=30) for query in queries]


def test_conditions_join_a_filter_sorting_and_facets(tmp_path: Path) -> None:
    documents = [Document(f"d{i}", f"heart attack number {i % 3}", "", {"year": 2000 + i}) for i in range(12)]
    index_documents(iter(documents), tmp_path / "index", load_encoder("bm25"))
    searcher = Searcher(tmp_path / "index")
    found = searcher.search(
        '"heart attack" -"number 1"', where="year < 2009", sort="-year", facets=["year"], total=True, k=3
    )
    assert [hit.doc_id for hit in found] == ["d8", "d6", "d5"]
    assert found.total == 6
    assert len(found.facets["year"]) == 6


def test_a_phrase_in_fields_of_texts_and_lists(tmp_path: Path) -> None:
    documents = [
        Document("a", "x", "", {"tags": ["heart attack", "new"], "note": "A Stroke of luck"}),
        Document("b", "x", "", {"tags": ["attack", "heart"], "text": "own field"}),
    ]
    index_documents(iter(documents), tmp_path / "index", load_encoder("bm25"))
    searcher = Searcher(tmp_path / "index")
    ids = {
        where: [hit.doc_id for hit in searcher.search("x", where=where)]
        for where in ("tags ~ 'heart attack'", "note ~ 'stroke of'", "text ~ 'own field'", "not note ~ 'stroke'")
    }
    assert list(ids.values()) == [["a"], ["a"], ["b"], ["b"]]


@pytest.mark.parametrize(("where", "message"), [("text ~ '++'", "no word in it"), ("text ~ 5", "give a text")])
def test_what_is_no_phrase_is_refused(searched: tuple[Searcher, list[Document]], where: str, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        searched[0].filter(where)


def test_an_index_without_texts_says_so(tmp_path: Path, collections: Any) -> None:
    encoder = ReadyVectors()
    row = {encoder.term_id("heart"): 1.0}
    with IndexWriter(tmp_path / "index", encoder) as writer:
        writer.add([Document("a", "")], SparseBatch.from_rows([row], 1))
        writer.commit()
    searcher = Searcher(tmp_path / "index")
    for where in ("text ~ 'heart'", "title ~ 'heart'", "not text ~ 'heart'"):
        with pytest.raises(UsageError, match="holds no texts, so that phrases"):
            searcher.filter(where)
    with_texts = Searcher(collections.write_index(tmp_path / "other", [{"heart": 1.0}]))
    assert with_texts.filter("text ~ 'text 0'").n_allowed == 1


def test_only_documents_with_the_words_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [Document(f"d{i}", f"heart number{i}" if i % 50 else "heart attack") for i in range(500)]
    index_documents(iter(documents), tmp_path / "index", load_encoder("bm25"))
    searcher = Searcher(tmp_path / "index")
    read: list[int] = []
    store = type(searcher.index.segments[0].documents)
    texts_of = store.texts
    monkeypatch.setattr(store, "texts", lambda self, rows: (read.extend(rows), texts_of(self, rows))[1])
    assert len(searcher.search('"heart attack"', k=100)) == 10
    assert len(read) == 10
    assert len(searcher.search("heart -attack", k=1000)) == 490
    assert len(read) == 20


def test_hybrid_search_keeps_to_the_conditions(tmp_path: Path) -> None:
    index_documents(iter(texts(3, 40)), tmp_path / "index", load_encoder("bm25"))
    searcher = Searcher(tmp_path / "index")
    queries = encode_typed(searcher, ["heart -attack", "heart"], SearchOptions())
    assert queries.conditions is not None
    assert queries.conditions[1] is None
    one, two = searcher.search_vectors(queries, k=40)
    assert {hit.doc_id for hit in one} < {hit.doc_id for hit in two}


def test_evaluation_takes_queries_as_they_are_unless_told_otherwise(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": "0", "text": "heart attack"}, {"_id": "1", "text": "heart failure"}]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "heart attack -attack"}))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t1\t1\n")
    index = lsr.index(folder, tmp_path / "index", encoder="bm25")
    assert lsr.evaluate(index, folder).mean["nDCG@10"] < 1
    assert lsr.evaluate(index, folder, plain=False).mean["nDCG@10"] == 1


def test_the_command_says_why_nothing_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lsr.index(["heart attack", "attack of the heart"], tmp_path / ".lsr", encoder="bm25").close()
    monkeypatch.chdir(tmp_path)
    assert main(["search", '"heart failure"']) == 0
    assert "no document meets the query's phrases, +words and -words" in capsys.readouterr().err
    assert main(["search", '"heart attack"', "--json"]) == 0
    assert [json.loads(line)["doc_id"] for line in capsys.readouterr().out.splitlines()] == ["0"]
    assert main(["search", '"heart attack"', "--json", "--plain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    (tmp_path / "queries.tsv").write_text('q\t"heart attack"\n')
    for flags, n_found in ((["--plain"], 2), ([], 2), (["--no-plain"], 1)):
        assert main(["search", "--queries", "queries.tsv", *flags]) == 0
        assert len(capsys.readouterr().out.splitlines()) == n_found
