"""Text on a terminal: widths, line breaks, marks, and nothing that gives orders."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.output import terminal
from lsr.output.numbers import human_bytes
from lsr.output.terminal import clean, columns, lines_of, marked, shortened, style, text_width

TEXTS = st.text(st.sampled_from("ab 東京é\u0301🐈-"), max_size=80)


@given(TEXTS, st.integers(2, 30))
def test_lines_fit_and_lose_nothing_but_spaces(text: str, room: int) -> None:
    spans = list(lines_of(text, room))
    assert all(text_width(text[begin:end]) <= room for begin, end in spans)
    assert "".join(text[begin:end] for begin, end in spans).replace(" ", "") == text.replace(" ", "")
    assert spans == sorted(spans)


@pytest.mark.parametrize(
    ("text", "room", "lines"),
    [
        ("the cat sat on the mat", 11, ["the cat sat", "on the mat"]),
        ("extraordinarily long", 8, ["extraord", "inarily", "long"]),
        ("今日の東京の天気", 7, ["今日の", "東京の", "天気"]),
        ("東京 is Tokyo", 8, ["東京 is", "Tokyo"]),
        ("", 8, []),
    ],
)
def test_lines_break_where_a_reader_expects_it(text: str, room: int, lines: list[str]) -> None:
    assert [text[begin:end] for begin, end in lines_of(text, room)] == lines


@given(TEXTS, st.integers(1, 30))
def test_a_shortened_text_fits(text: str, room: int) -> None:
    short = shortened(text, room)
    assert text_width(short) <= room and (short == text or short.endswith("…"))


def test_widths_are_those_of_cells() -> None:
    assert [text_width(text) for text in ("cat", "東京", "e\u0301", "🐈", "naïve", "a\u200db")] == [3, 4, 1, 2, 5, 2]


@given(st.text())
def test_a_clean_text_has_no_control_character_and_the_same_length(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    assert not any(
        ord(c) < 32 or 127 <= ord(c) < 160 or "\u202a" <= c <= "\u202e" or "\ud800" <= c <= "\udfff" for c in cleaned
    )


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_screen(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make stdout, once called, a terminal that takes styles."""
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return lambda: monkeypatch.setattr("sys.stdout", Screen())


def test_styles_go_to_terminals_alone(on_screen: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    on_screen()
    assert style("x", terminal.BOLD) == "\033[1mx\033[0m" and style("", terminal.BOLD) == ""
    assert style("x", terminal.BOLD, io.StringIO()) == "x"
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert style("x", terminal.BOLD) == "x"
    monkeypatch.setenv("NO_COLOR", "")  # empty: not asked for
    assert style("x", terminal.BOLD) != "x"


def test_marks_stay_inside_their_line(on_screen: Callable[[], None]) -> None:
    on_screen()
    shown = marked("one two three", [(0, 3), (4, 7), (8, 13)], 4, 10, mark="<")
    assert shown == "<two\033[0m <th\033[0m"
    assert marked("one two", [(4, 7)], 0, 7, mark="<", base=">") == ">one \033[0m<two\033[0m"


@pytest.mark.parametrize(("given_columns", "used"), [("5", 24), ("80", 80), ("400", 120), ("", 100)])
def test_the_width_is_that_of_the_terminal_within_reason(
    on_screen: Callable[[], None], monkeypatch: pytest.MonkeyPatch, given_columns: str, used: int
) -> None:
    on_screen()
    monkeypatch.setenv("COLUMNS", given_columns)
    monkeypatch.setattr("os.get_terminal_size", lambda descriptor: (_ for _ in ()).throw(OSError()))
    assert columns() == used


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (5e13, "50.0 TB")],
)
def test_sizes_are_for_people(size: float, shown: str) -> None:
    assert human_bytes(size) == shown
