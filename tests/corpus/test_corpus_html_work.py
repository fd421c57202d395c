"""Reading HTML is linear in the page's length, whatever is left open in it.

Work is counted, not timed: every character that a search for the end of something goes over is one step.
"""

from __future__ import annotations

import _markupbase
import html.parser
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from lsr.indexer.corpus.formats import markup

OPENED = ["<!--", "<a ", "<a b='c'", '<a href="', "</a ", "<?", "<![x", "<svg>", "</style>", "<h1>"]
ENDS = ["", ">", "'>", '">', "-->"]
FEW = 500


@dataclass
class Steps:
    """Characters looked at so far."""

    n: int = 0


class CountedText(str):
    """A page that counts the characters that are searched; its parts count in the same steps."""

    __slots__ = ("steps",)
    steps: Steps

    @classmethod
    def of(cls, text: str, steps: Steps) -> CountedText:
        counted = cls(text)
        counted.steps = steps
        return counted

    def find(self, *args: Any) -> int:
        found = str.find(self, *args)
        start = args[1] if len(args) > 1 else 0
        self.steps.n += 1 + (found if found >= 0 else len(self)) - start
        return found

    def index(self, *args: Any) -> int:
        found = str.index(self, *args)
        self.steps.n += 1 + found - (args[1] if len(args) > 1 else 0)
        return found

    def __radd__(self, other: str) -> CountedText:
        return self.of(str(other) + str(self), self.steps)

    def __getitem__(self, key: Any) -> str:
        part = str.__getitem__(self, key)
        return self.of(part, self.steps) if isinstance(key, slice) else part


@dataclass
class CountedPattern:
    """A regular expression that counts the characters that it goes over."""

    pattern: re.Pattern[str]
    steps: Steps = field(repr=False)

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        found = self.pattern.match(text, start)
        self.steps.n += 1 + (found.end() - start if found else 0)
        return found

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        found = self.pattern.search(text, start)
        self.steps.n += 1 + (found.end() if found else len(text)) - start
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pattern, name)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Count what the library's parser and ours search through."""
    counted = Steps()
    for module in (html.parser, _markupbase, markup):
        for name, value in list(vars(module).items()):
            if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                monkeypatch.setattr(module, name, CountedPattern(value, counted))
            elif isinstance(pattern := getattr(value, "__self__", None), re.Pattern):
                monkeypatch.setattr(module, name, getattr(CountedPattern(pattern, counted), value.__name__))
    return counted


@pytest.mark.parametrize("piece", OPENED)
@pytest.mark.parametrize("end", ENDS)
def test_four_times_a_hostile_page_is_four_times_the_work(piece: str, end: str, steps: Steps) -> None:
    work = []
    for n in (FEW, 4 * FEW):
        steps.n = 0
        markup.html_parts(CountedText.of(piece * n + end, steps))
        work.append(steps.n)
    assert work[0] > 0
    assert work[1] < 5 * work[0]


def test_quadratic_work_would_be_found(steps: Steps) -> None:
    work = []
    for n in (FEW, 4 * FEW):
        steps.n = 0
        page = html.parser.HTMLParser()
        page.feed(CountedText.of("<a " * n, steps))
        page.close()
        work.append(steps.n)
    assert work[1] > 10 * work[0]
