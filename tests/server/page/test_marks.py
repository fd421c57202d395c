"""Marks are whole words, change no text, and take work in proportion to the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.query.explain.term_spans import TermSpan
from lsr.server.pages.marks import marked, stretch, whole_words
from lsr.server.pages.rendering import possible


class Marks(HTMLParser):
    """The text of some HTML, and the texts of its marks."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.marks, self._open = "", list[str](), False
        self.feed("".join(html))  # a plain text: what is added to a Markup is escaped
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        assert tag == "mark"
        self._open = True
        self.marks.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open:
            self.marks[-1] += data


def spans_in(text: str, **points: str) -> list[TermSpan]:
    return sorted(TermSpan(m.start(), m.end(), name) for name, form in points.items() for m in re.finditer(form, text))


@pytest.mark.parametrize(
    ("text", "found", "pieces", "expected"),
    [
        ("An upload, uploads.", {"up": "up", "load": "load"}, ("up", "load"), ["upload", "uploads"]),
        ("The price is up, a load.", {"up": "up", "load": "load"}, ("up", "load"), []),
        ("The price is up, a load.", {"up": "up", "load": "load"}, (), ["up", "load"]),
        ("unbelievably", {"un": "un"}, (), []),
        ("well-known; don't.", {"know": "known", "do": "don"}, (), ["known", "don"]),
        ("naïve naïvely", {"n": "na"}, (), []),
        ("日本語を話す", {"x": "日本"}, (), ["日本"]),
        ("a - b !", {"x": "-", "y": "!"}, (), []),
        ("", {"x": "x"}, (), []),
    ],
)
def test_whole_words_are_marked(text: str, found: dict[str, str], pieces: tuple[str, ...], expected: list[str]) -> None:
    points = dict.fromkeys(found, 10)
    marks = whole_words(text, spans_in(text, **found), points, pieces=frozenset(pieces))
    assert [text[mark.start : mark.end] for mark in marks] == expected
    assert Marks(marked(text, marks)).marks == expected


def test_a_mark_is_as_strong_as_its_best_term_and_faint_terms_have_none() -> None:
    text = "heavy light tiny"
    marks = whole_words(text, spans_in(text, h="heavy", l="light", t="tiny"), {"h": 100, "l": 30, "t": 2})
    assert [(text[mark.start : mark.end], mark.strength) for mark in marks] == [("heavy", 4), ("light", 1)]
    assert 'class="m4"' in marked(text, marks) and 'class="m1"' in marked(text, marks)


@settings(deadline=None)
@given(st.text(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 5)), max_size=8))
def test_marking_changes_no_text(text: str, places: list[tuple[int, int]]) -> None:
    spans = sorted(TermSpan(start, start + n, f"t{n}") for start, n in places if start + n <= len(text))
    marks = whole_words(text, spans, {f"t{n}": n for n in range(1, 6)})
    for before, after in pairwise(marks):
        assert before.end <= after.start
    html = marked(text, marks)
    assert Marks(html).text.replace("\r", "\n") == possible(text).replace("\r", "\n")
    assert len(Marks(html).marks) == len(marks)


def test_the_stretch_shown_holds_what_weighs_most() -> None:
    filler = "nothing of interest stands here and so it goes on. " * 20
    text = filler + "light light light. " + filler + "A light heavy thing! " + filler
    spans = spans_in(text, light="light", heavy="heavy")
    begin, end = stretch(text, spans, {"light": 2, "heavy": 10}, 200)
    assert text[begin:end].startswith("A light heavy thing!") and end - begin <= 200
    assert stretch("short", [], {}, 200) == (0, 5)
    assert stretch(text, [], {}, 200)[0] == 0
    assert text[stretch(text, [], {}, 200)[1]] == " "


class CountedPoints(Mapping[str, int]):
    """Points that count how often they are looked up."""

    def __init__(self) -> None:
        self.asked = 0

    def __getitem__(self, term: str) -> int:
        self.asked += 1
        return 1 + len(term)

    def __iter__(self) -> Iterator[str]:
        return iter(("word", "other"))

    def __len__(self) -> int:
        return 2


class CountedSpans(list[TermSpan]):
    """Spans that count how often one is read."""

    read = 0

    def __getitem__(self, place: object) -> object:  # type: ignore[override]
        self.read += 1
        return super().__getitem__(place)  # type: ignore[index]


@pytest.mark.parametrize("n_words", [1_000, 8_000])
def test_work_is_in_proportion_to_the_matches_of_a_text(n_words: int) -> None:
    text = "word other " * (n_words // 2)
    spans, points = CountedSpans(spans_in(text, word="word", other="other")), CountedPoints()
    stretch(text, spans, points, 300)
    assert spans.read <= 4 * n_words and points.asked <= 2 * n_words
    points.asked = 0
    marks = whole_words(text, spans, points)
    assert len(marks) == n_words and points.asked <= n_words + 2
    assert len(marked(text, marks)) <= len(text) + n_words * len('<mark class="m4"></mark>')
