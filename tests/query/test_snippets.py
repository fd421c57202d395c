"""A snippet is the stretch of a text that holds the most words of the query, and says where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.query.explain.snippet import QueryWords, find_snippet, fold

FILLER = "nothing of interest stands here and so it goes on for a while without end "


def words_of(query: str) -> QueryWords:
    return QueryWords(query, {})


def marked(text: str, query: str, width: int = 80) -> str:
    """Return the snippet with its matches in brackets."""
    snippet = find_snippet(text, words_of(query), width)
    out, last = "", 0
    for start, end in snippet.spans:
        out += snippet.text[last:start] + f"[{snippet.text[start:end]}]"
        last = end
    return out + snippet.text[last:]


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("searching", "Search engines searched for searches.", "[Search] engines [searched] for [searches]."),
        ("vitamin D", "Vitamin-D, (vitamins) and D.", "[Vitamin]-[D], ([vitamins]) and [D]."),
        ("the cat and a dog", "The cat and a dog", "The [cat] and a [dog]"),
        ("Patient's", "the patient’s chart", "the [patient’s] chart"),
        ("café", "Cafe CAFÉ cafe\u0301", "Cafe [CAFÉ] [cafe\u0301]"),
        ("東京", "今日の東京の天気", "今日の[東][京]の天気"),
        ("unknown", "nothing to mark", "nothing to mark"),
        ("snake_case", "snake_case snake", "[snake]_[case] [snake]"),
    ],
)
def test_words_are_marked_by_their_stems(query: str, text: str, expected: str) -> None:
    assert marked(text, query) == expected


def test_the_stretch_with_the_most_different_words_is_taken() -> None:
    text = FILLER + "a cat alone. " + FILLER + "Then came an end. A cat met a dog. " + FILLER + "cat cat cat cat"
    assert marked(text, "cat dog").startswith("A [cat] met a [dog].")


def test_a_stretch_begins_with_its_sentence_if_that_begins_shortly_before() -> None:
    text = FILLER + "It ends here (really.) Whoever owns a cat knows. " + FILLER
    assert marked(text, "cat").startswith("Whoever owns a [cat] knows.")
    far = FILLER + "Here a sentence begins and " + FILLER + "there is a cat. " + FILLER
    snippet = find_snippet(far, words_of("cat"), 80)
    assert not snippet.starts and not snippet.ends and "cat" in snippet.text
    assert snippet.text == snippet.text.strip()


def test_a_number_is_no_end_of_a_sentence() -> None:
    assert marked(FILLER + "about 3.5 cats " + FILLER, "cats", 60).count("3.5 [cats]") == 1


def test_a_short_text_is_shown_whole() -> None:
    snippet = find_snippet("  One \n\n two\tthree ", words_of("two"), 80)
    assert (snippet.text, snippet.starts, snippet.ends) == ("One two three", True, True)


def test_the_stemmer_is_that_of_the_index() -> None:
    german = {"settings": {"analyser": {"stemmer": "german", "stop_words": "none"}}}
    assert [form for _, _, form in QueryWords("Häuser", german).matches("das Haus am See")] == ["haus"]


@given(st.text(max_size=400), st.text(max_size=30), st.integers(20, 200))
def test_any_text_gives_a_piece_of_it_that_is_not_too_long(text: str, query: str, width: int) -> None:
    snippet = find_snippet(text, words_of(query), width)
    assert snippet.text in fold(text) and len(snippet.text) <= width
    places = [place for span in snippet.spans for place in span]
    assert all(start < end for start, end in snippet.spans) and places == sorted(places)
    assert all(0 <= place <= len(snippet.text) for place in places)
