"""Pages stand for themselves: nothing is loaded, nothing from outside is taken for HTML, everything is there."""

from __future__ import annotations

import re
import shutil
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

Lsr = Callable[..., Any]
VOID = {"meta", "input", "br"}


class Outline(HTMLParser):
    """The text and the elements of a page; complains of an element that isn't closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.open = "", list[str](), list[str]()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "title"):
            self.text += data


@pytest.fixture(autouse=True)
def here(tmp_path: Path, bm25_index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(bm25_index, tmp_path / ".lsr")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_self_contained(page: str) -> Outline:
    outline = Outline(page)
    assert page.startswith("<!doctype html>") and 'charset="utf-8"' in page and "width=device-width" in page
    assert not {"script", "img", "link", "iframe", "object", "a", "form"} & set(outline.tags)
    assert not [name for name, _ in outline.attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert "url(" not in page and "@import" not in page and "://" not in page
    assert "prefers-color-scheme: dark" in page and "default-src &#39;none&#39;" in page
    return outline


def test_the_policy_admits_the_style_sheet_alone(lsr: Lsr) -> None:
    assert lsr("search", "cat", "--html", "out.html").code == 0
    page = Path("out.html").read_text(encoding="utf-8")
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src &#39;sha256-{digest}&#39;" in page and "unsafe-inline" not in page


def test_a_search_as_a_page(lsr: Lsr) -> None:
    done = lsr("search", "sleeping cats <zebra>", "--html", "out.html")
    assert (done.code, done.out, done.err) == (0, "", "lsr: 2 hits explained in out.html\n")
    page = Path("out.html").read_text(encoding="utf-8")
    outline = check_self_contained(page)
    assert "A cat sleeps most of the day. Cats purr when they sleep well." in outline.text
    assert outline.tags.count("article") == 2 and outline.tags.count("h1") == 1
    assert "sleeping cats <zebra>" in outline.text and "zebra" in re.findall(r'class="unknown"[^>]*>([^<]*)', page)
    marks = re.findall(r'<mark class="m(\d)">(\w+)</mark>', page)
    assert {word for _, word in marks} >= {"cat", "Cats", "sleeps"}
    assert len({strength for strength, _ in marks}) > 1  # the more a term adds, the stronger
    assert "postings" in outline.text and "µs" in outline.text
    assert outline.text.index("A cat sleeps") < outline.text.index("postings")  # results first
    assert lsr("search", "cats", "--html", "out.html", "--explain").lines  # both, where both are asked for


def test_nothing_found_as_a_page(lsr: Lsr) -> None:
    assert lsr("search", "zebra", "--html", "out.html").code == 0
    assert "Nothing found" in check_self_contained(Path("out.html").read_text()).text


def test_vectors_as_pages(lsr: Lsr, masked_lm: Path) -> None:
    for args in (["--doc", "cats"], ["--text", "the cats", "--encoder", str(masked_lm)], ["--doc", "empty"]):
        assert lsr("explain", *args, "--html", "vector.html").code == 0
        outline = check_self_contained(Path("vector.html").read_text(encoding="utf-8"))
        assert "expanded to" in outline.text


def test_a_page_that_cannot_be_written(lsr: Lsr) -> None:
    done = lsr("search", "cat", "--html", ".lsr/writer.lock/out.html")
    assert done.code == 1 and "can't be written" in done.err


def test_what_stands_in_documents_and_queries_stays_text(tmp_path: Path, lsr: Lsr, jsonl: Any) -> None:
    evil = "</p><script>alert('cat')</script> \"onload=x\x00 <img src=x onerror=alert(1)> &amp; cat\x1b[31m"
    jsonl(tmp_path / "evil.jsonl", [{"_id": "<b>'\"&", "title": evil, "text": evil * 20}, {"_id": "b", "text": evil}])
    assert lsr("index", "evil.jsonl", "--index", "evil").code == 0
    for args in (["search", evil, "--index", "evil"], ["explain", "--doc", "b", "--index", "evil"]):
        assert lsr(*args, "--html", "evil.html").code == 0
        page = Path("evil.html").read_text(encoding="utf-8")
        outline = check_self_contained(page)
        assert "<script>alert('cat')</script>" in outline.text and "\x00" not in page and "\x1b" not in page
