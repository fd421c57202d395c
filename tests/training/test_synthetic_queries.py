"""Queries made from documents: of the right kinds, the same every time, and without giving the answer away."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example as case
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import LsrError, UsageError
from lsr.training.data.ngram_hashes import BloomFilter, NearDuplicates, WordHashes, ngram_hashes
from lsr.training.synthetic.examples import read_synthetic_examples
from lsr.training.synthetic.keyphrases import PhraseFinder
from lsr.training.synthetic.queries import KINDS, GenerationReport, QueryGeneration, generate_queries
from lsr.training.synthetic.text_structure import is_suitable_query, passages, sections, sentences, words_of
from lsr.training.teachers.bm25 import count_corpus
from lsr.types import Document

NOUNS = "river mountain glacier forest desert island volcano canyon meadow harbour castle bridge".split()
VERBS = "crosses shelters divides feeds borders overlooks surrounds shadows protects floods".split()


def document(i: int) -> Document:
    chance = np.random.default_rng(i)
    lines = [
        f"The {chance.choice(NOUNS)} number {i} {chance.choice(VERBS)} the {chance.choice(NOUNS)} called "
        f"{chance.choice(NOUNS).title()}{i}x{j} near the old {chance.choice(NOUNS)}."
        for j in range(6)
    ]
    return Document(f"d{i}", " ".join(lines), f"Guide to place {i}{'abcdefgh'[i % 8]} and its {NOUNS[i % 12]}")


def only(kind: str, **options: Any) -> QueryGeneration:
    return QueryGeneration(shares={kind: 1.0}, **options)


DOCUMENTS = [document(i) for i in range(60)]


def test_a_title_asks_for_the_text_without_it() -> None:
    text = "Rivers of the north: they rise in the hills and run to the sea, and on their way they feed many lakes."
    (example,) = generate_queries([Document("1", text, "Rivers of the north")], only("title", leave_out=1.0))
    assert example.query == "Rivers of the north"
    (positive,) = example.documents
    assert (positive.doc_id, positive.title) == ("1", "")
    assert positive.text.startswith("they rise in the hills")


def test_a_sentence_asks_for_the_rest_and_is_never_the_first() -> None:
    for example in generate_queries(DOCUMENTS, only("sentence", leave_out=1.0)):
        (positive,) = example.documents
        source = next(d for d in DOCUMENTS if d.doc_id == positive.doc_id)
        assert example.query in source.text
        assert not source.text.startswith(example.query)
        assert example.query not in positive.text
        assert len(positive.text) + len(example.query) + 1 == len(source.text)


def test_how_often_a_sentence_stays_is_as_asked() -> None:
    made = list(generate_queries([document(i) for i in range(1000)], only("sentence", leave_out=0.9)))
    stays = np.mean([example.query in example.documents[0].text for example in made])
    assert stays == pytest.approx(0.1, abs=0.03)


def test_a_heading_asks_for_its_section() -> None:
    body = "It lies in the north of the country and has been visited by many people since the road was built there."
    text = f"Opening words.\n\n## History of the harbour walls\n\n{body} {body}\n\n## History\n\n{body}"
    queries = set()
    for seed in range(20):
        (example,) = generate_queries([Document("1", text, "Old Harbour")], only("heading", leave_out=1.0, seed=seed))
        queries.add(example.query)
        assert example.documents[0].text.startswith("It lies in the north")
        assert "##" not in example.documents[0].text
    assert queries == {"History of the harbour walls", "Old Harbour History"}


def test_a_phrase_is_of_rare_words() -> None:
    common = [
        Document(str(i), "the weather of the day was good and the people went out to see the town") for i in range(99)
    ]
    rare = Document(
        "r", "The weather was good. A quantum annealer solves spin glass problems, and the people went out."
    )
    finder = PhraseFinder(count_corpus([*common, rare]))
    found = finder.phrases(rare.text, 2)
    assert "annealer solves spin glass" in found
    assert not any("weather" in phrase or "people" in phrase for phrase in found)


def test_crops_are_stretches_of_the_text() -> None:
    for example in generate_queries(DOCUMENTS, only("crop")):
        source = next(d for d in DOCUMENTS if d.doc_id == example.documents[0].doc_id)
        assert example.query in source.text
        assert example.documents[0].text in source.text
        assert len(example.documents[0].text) > len(example.query)


def test_all_kinds_are_made_about_as_often_as_asked() -> None:
    report = GenerationReport()
    shares = {"title": 0.5, "sentence": 0.3, "phrase": 0.2}
    made = list(generate_queries([document(i) for i in range(800)], QueryGeneration(shares=shares), report=report))
    assert sum(report.made.values()) == len(made) > 700
    for kind, share in shares.items():
        assert report.made[kind] / len(made) == pytest.approx(share, abs=0.06)


def test_limits_hold_and_other_kinds_take_their_place() -> None:
    report = GenerationReport()
    making = QueryGeneration(shares={"title": 0.9, "sentence": 0.1}, limits={"title": 5})
    list(generate_queries(DOCUMENTS, making, report=report))
    assert report.made["title"] == 5
    assert report.made["sentence"] == len(DOCUMENTS) - 5


def test_the_seed_decides_and_nothing_else() -> None:
    making = QueryGeneration(sample=0.7, per_document=2, seed=3)
    counts = count_corpus(DOCUMENTS)
    first = list(generate_queries(DOCUMENTS, making, counts=counts))
    assert list(generate_queries(DOCUMENTS, making, counts=counts)) == first
    backwards = list(generate_queries(reversed(DOCUMENTS), making, counts=counts))
    assert sorted(backwards, key=str) == sorted(first, key=str)
    other = list(generate_queries(DOCUMENTS, QueryGeneration(sample=0.7, per_document=2, seed=4), counts=counts))
    assert other != first


def test_a_document_may_give_several_queries_of_different_kinds() -> None:
    made = list(generate_queries(DOCUMENTS[:1], QueryGeneration(per_document=3, shares=dict.fromkeys(KINDS, 1.0))))
    assert len({example.query for example in made}) == 3


def test_near_duplicates_and_unsuitable_texts_are_counted_out() -> None:
    twin = Document("twin", DOCUMENTS[0].text.replace("near the old", "near that old", 1), "Another title for it")
    poor = [
        Document("short", "Too short to be found.", "Short"),
        Document("numbers", "12 34 56 78 90 " * 20, "1 2 3"),
        Document("boilerplate", "Click here to read more. All rights reserved by the owner of this site. " * 6, ""),
    ]
    report = GenerationReport()
    making = QueryGeneration(shares={"sentence": 1.0, "title": 1.0})
    made = list(generate_queries([DOCUMENTS[0], twin, *poor], making, report=report))
    assert [example.documents[0].doc_id for example in made] == [DOCUMENTS[0].doc_id]
    assert (report.n_documents, report.n_near_duplicates, report.n_unfit) == (5, 1, 3)
    assert "1 near-duplicate passages" in report.summary()[1]


def test_no_query_comes_twice() -> None:
    same_title = [Document(d.doc_id, d.text, "One and the same title") for d in DOCUMENTS]
    report = GenerationReport()
    made = list(generate_queries(same_title, only("title"), report=report))
    assert len(made) == 1
    assert report.n_repeated == len(DOCUMENTS) - 1


def test_settings_that_cannot_be() -> None:
    for options, message in (
        ({"shares": {"question": 1.0}}, "no kind 'question': there are title, heading"),
        ({"shares": {"title": 0.0}}, "can't be negative or all 0"),
        ({"sample": 1.5}, "sample is 1.5"),
        ({"per_document": 0}, "per_document is 0"),
    ):
        with pytest.raises(UsageError, match=message):
            QueryGeneration(**options)  # type: ignore[arg-type]


def test_made_examples_are_kept(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for d in DOCUMENTS[:20]:
        (corpus / f"{d.doc_id}.md").write_text(f"# {d.title}\n\n{d.text}\n")
    made = read_synthetic_examples([corpus], cache=tmp_path / "cache")
    assert len(made) == made.report.n_examples == 20
    assert made[0].documents[0].doc_id == "d0.md"
    again = read_synthetic_examples([corpus], cache=tmp_path / "cache")
    assert [again[i] for i in range(20)] == [made[i] for i in range(20)]
    assert len(list((tmp_path / "cache").iterdir())) == 1
    (tmp_path / "poor.txt").write_text("nothing")
    with pytest.raises(LsrError, match="no query could be generated from"):
        read_synthetic_examples([tmp_path / "poor.txt"], cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. J. R. Smith met Mr. Jones. They spoke.", ["Dr. J. R. Smith met Mr. Jones.", "They spoke."]),
        (
            "It rose by 3.5 percent, e.g. in May. Then it fell.",
            ["It rose by 3.5 percent, e.g. in May.", "Then it fell."],
        ),
        ('He said "Go." She went.', ['He said "Go."', "She went."]),
        ("A heading\n\nA text", ["A heading", "A text"]),
        ("", []),
        ("  \n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[a:b] for a, b in sentences(text)] == expected


@settings(deadline=None)
@given(st.text(alphabet="aB.!? \n\"')", max_size=60))
def test_sentences_hold_every_visible_character_once(text: str) -> None:
    spans = sentences(text)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    assert all(a < b <= c for (a, b), (c, _) in pairwise(spans))


@pytest.mark.parametrize(
    "text",
    ["intro\n\n## Usage notes\n\nbody one\nbody two", "intro\n\n== Usage notes ==\nbody one\nbody two",
     "intro\n\nUsage notes\n-----------\nbody one\nbody two", "intro here.\n\nUsage notes\n\nbody one\nbody two"],
)  # fmt: skip
def test_sections_in_every_spelling(text: str) -> None:
    found = {section.heading: section.text for section in sections(text)}
    assert found.get("Usage notes") == "body one\nbody two"


def test_a_long_document_is_cut_into_passages_between_sentences() -> None:
    parts = [document(i).text for i in range(12)]
    text = "\n\n".join(f"## Chapter about things {i}\n\n{part}" for i, part in enumerate(parts))
    found = passages(text, 90)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(30 <= len(passage.split()) <= 110 for passage in found)
    assert all(passage.endswith(".") for passage in found)
    assert all(passage.startswith("##") for passage in found)
    assert passages(parts[0], 90) == [parts[0]]
    report = GenerationReport()
    made = list(
        generate_queries(
            [Document("book", text, "A book of chapters")], QueryGeneration(passage_words=90), report=report
        )
    )
    assert len(made) > 8
    assert (report.n_documents, report.n_passages) == (1, len(found))
    assert {example.documents[0].doc_id for example in made} <= {f"book#{i}" for i in range(len(found))}
    assert len(list(generate_queries([Document("book", text, "A book")], QueryGeneration(passage_words=0)))) == 1


@settings(deadline=None)
@given(st.text(alphabet="aB. \n|#", max_size=400), st.integers(1, 20))
@case(". B.B", 1)
def test_passages_hold_every_visible_character_once(text: str, max_words: int) -> None:
    found = passages(text, max_words)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert len(found) == 1 or all(len(words_of(passage)) <= max_words for passage in found)


def test_code_is_no_heading() -> None:
    assert sections("```\n# a comment\n\nx = 1\n```\n\nend of it.") == []


def test_what_may_be_a_query() -> None:
    assert is_suitable_query("how rivers reach the sea", 2, 10)
    for poor in ("one", "1 2 3 4 5 6", "read more about it", "a | b | c | d", "word " * 11, "foo::bar baz(); one two"):
        assert not is_suitable_query(poor, 2, 10)


def test_runs_are_told_apart_and_found_again() -> None:
    words = WordHashes()
    a = ngram_hashes(words.of("One two, THREE four five"), 3)
    b = ngram_hashes(words.of("zero one two three"), 3)
    assert len(a) == 3
    assert set(a) & set(b) == {a[0]}
    assert len(set(a)) == 3
    assert len(ngram_hashes(words.of("one two"), 3)) == 0


def test_what_was_seen_is_remembered_and_little_else() -> None:
    seen = BloomFilter()
    first = np.random.default_rng(0).integers(0, 1 << 63, 50_000).astype(np.uint64)
    assert seen.add(first).sum() <= 1
    assert seen.add(first).all()
    assert seen.add(first + np.uint64(1)).sum() <= 1


def test_near_duplicates_are_found_and_others_are_not() -> None:
    near = NearDuplicates(WordHashes())
    chance = np.random.default_rng(1)
    texts = [" ".join(chance.choice(5000, 100).astype(str)) for _ in range(200)]
    assert not any(near.add(text) for text in texts)
    changed = [text.replace(text.split()[50], "changed") for text in texts]
    assert np.mean([near.add(text) for text in changed]) > 0.95
    halves = [" ".join([*text.split()[:50], *chance.choice(5000, 50).astype(str)]) for text in texts]
    assert np.mean([near.add(text) for text in halves]) < 0.05
