"""The page of results, as HTML: links that keep every option, filters, facets, sorting, pages, and words for errors."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

import lsr
from lsr.errors import UsageError
from lsr.query.searcher import Searcher
from lsr.server.pages.address import Address, read_address
from lsr.server.pages.document import Place, document_page, read_passage
from lsr.server.pages.index_facts import filter_of, index_facts
from lsr.server.pages.readable import readable
from lsr.server.pages.results import results_page
from lsr.server.pages.suggestions import suggested_titles


class Links(HTMLParser):
    """The addresses that a page links to, by the text of the link, and all its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self.text, self._href, self._label = "", "", ""
        self.fields: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a":
            self._href, self._label = given["href"] or "", ""
        if tag == "input":
            self.fields.append((given["name"] or "", given.get("value") or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self.links[" ".join(self._label.split())] = self._href

    def handle_data(self, data: str) -> None:
        self.text += data
        self._label += data


def shown(searcher: Searcher, *pairs: tuple[str, str], status: int = 200) -> Links:
    page = results_page(searcher, read_address(pairs), name="notes")
    assert page.status == status
    return Links(page.html)


def asked(link: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(link).query)


def test_results_come_first_with_titles_that_open_documents(searcher: Searcher) -> None:
    page = results_page(searcher, read_address([("q", "upload a file")]), name="notes")
    links = Links(page.html)
    assert urlsplit(links.links["Upload"]).path == "/document"
    assert asked(links.links["Upload"]) == [("id", "upload"), ("q", "upload a file")]
    text = links.text
    assert (
        text.index("1–")
        < text.index("To upload a file")
        < text.index("Why this?")
        < text.index("Details of the search")
    )
    assert "postings" not in text[: text.index("Details of the search")]


def test_a_document_without_title_is_called_by_its_first_words(searcher: Searcher) -> None:
    links = shown(searcher, ("q", "download"))
    heading = next(label for label, href in links.links.items() if "id=download" in href)
    assert heading == "A download brings a file here. Loading takes a while: a load of files loads slowly."


def test_links_keep_every_option(searcher: Searcher) -> None:
    given = [("q", "vitamin"), ("where", "year >= 2002"), ("k", "5"), ("sort", "-year"), ("min_score", "0.01")]
    links = shown(searcher, *given, ("f.lang", "en"))
    following = asked(links.links["Next →"])
    assert following == [*given, ("offset", "5"), ("f.lang", "en")]
    again = shown(searcher, *following)
    assert asked(again.links["← Previous"]) == [*given, ("f.lang", "en")]
    hidden = {name: value for name, value in links.fields if name not in ("q", "where")}
    assert hidden == {"min_score": "0.01", "f.lang": "en"}
    assert dict(links.fields)["where"] == "year >= 2002"


def test_facets_filter_and_are_taken_back(searcher: Searcher) -> None:
    links = shown(searcher, ("q", "vitamin"))
    narrowed = links.links["de 13"]
    assert asked(narrowed) == [("q", "vitamin"), ("f.lang", "de")]
    page = shown(searcher, *asked(narrowed))
    assert "1–10 of 13 results" in page.text
    assert asked(page.links["lang de × remove"]) == [("q", "vitamin")] == asked(page.links["de 13"])
    both = shown(searcher, ("q", "vitamin"), ("f.lang", "de"), ("f.lang", "fr"))
    assert "of 26 results" in both.text
    tagged = shown(searcher, ("q", "vitamin"), ("f.tags", "health"), ("f.year", "2003"))
    assert "1–1" not in tagged.text and {"year 2003 × remove", "tags health × remove", "Clear all"} <= set(tagged.links)
    assert asked(tagged.links["Clear all"]) == [("q", "vitamin")]


def test_a_filter_that_is_typed_is_shown_and_taken_back(searcher: Searcher) -> None:
    links = shown(searcher, ("q", "vitamin"), ("where", "lang == 'en' or year > 2008"), ("f.year", "2009"))
    assert asked(links.links["where lang == 'en' or year > 2008 × remove"]) == [("q", "vitamin"), ("f.year", "2009")]
    assert filter_of(searcher.index, "lang == 'en' or year > 2008", [("year", "2009")]) == (
        "(lang == 'en' or year > 2008) and year == 2009"
    )


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("where", "year >"), "a value expected"),
        (("where", "colour == 1"), "no document has a field 'colour'"),
        (("f.colour", "red"), "no document has a field 'colour'"),
        (("f.year", "recent"), "year is 'recent'; it must be a number"),
        (("f.year", "1) or (year > 0"), "it must be a number"),
        (("sort", "tags"), "lists of texts, which have no order"),
        (("k", "0"), "it must be at least 1"),
        (("k", "101"), "k is 101; the limit of a page is 100"),
        (("offset", "10001"), "offset is 10,001; the limit of a page is 10,000"),
        (("hybrid", "union"), "dense"),
        (("facets", "colour"), "no document has a field 'colour'"),
    ],
)
def test_what_is_wrong_with_a_search_is_said_on_its_page(
    searcher: Searcher, pair: tuple[str, str], message: str
) -> None:
    links = shown(searcher, ("q", "vitamin"), pair, status=400)
    assert "That search can't be made" in links.text and message.casefold() in links.text.casefold()
    assert dict(links.fields)["q"] == "vitamin" and "Search without filters" in links.links


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("size", "3")], "unknown parameter 'size'; there are q, k, offset"),
        ([("threads", "3")], "unknown parameter 'threads'"),
        ([("k", "3"), ("k", "4")], "the parameter 'k' twice"),
        ([("q", "x" * 10_001)], "the query has 10,001 characters; the limit is 10,000"),
        ([(f"f.{i}", "x") for i in range(61)], "61 parameters; the limit is 60"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused(pairs: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        read_address(pairs)


def test_a_value_of_a_facet_cannot_leave_its_quotes(searcher: Searcher) -> None:
    for value in ("x' or lang == 'en", "\\' or 1 == 1", "`", "de' or year > 0 or lang == '"):
        assert "Nothing found" in shown(searcher, ("q", "vitamin"), ("f.lang", value)).text
    with pytest.raises(UsageError, match="no document has a field"):
        filter_of(searcher.index, "", [("lang == 'en' or year", "1")])


def test_nothing_found_is_said_with_what_to_do(searcher: Searcher) -> None:
    links = shown(searcher, ("q", "qqqq"))
    assert (
        "Nothing found" in links.text
        and "Try fewer or other words" in links.text
        and "In no document: qqqq" in links.text
    )
    links = shown(searcher, ("q", "vitamin"), ("where", "year == 1900"))
    assert asked(links.links["Search without the filter"]) == [("q", "vitamin")]
    links = shown(searcher, ("q", "vitamin"), ("offset", "500"))
    assert "no results so far down" in links.text and asked(links.links["Back to the first"]) == [("q", "vitamin")]


def test_the_first_page_says_what_can_be_searched(searcher: Searcher) -> None:
    links = shown(searcher)
    assert "45 documents are searched" in links.text and "lang == 'de'" in links.text
    facts = index_facts(searcher.index)
    assert set(facts.facet_fields) == {"lang", "tags", "year", "link"} and index_facts(searcher.index) is facts
    assert set(facts.sort_fields) == {"lang", "year", "link"}


def test_why_this_is_in_words_and_adds_up(searcher: Searcher) -> None:
    html = results_page(searcher, read_address([("q", "uploading files")])).html
    why = html[html.index("Why this?") :]
    words = re.findall(r'<th scope="row" dir="auto">([^<]*)</th>', why[: why.index("Terms and weights")])
    assert words == ["uploading", "files"]  # as they are in the query, not the stems `upload` and `file`
    (best, *_) = searcher.explain("uploading files").hits
    assert f"Score {best.hit.score:.3f}" in why


def test_snippets_have_no_markup_and_whole_words(searcher: Searcher) -> None:
    text = shown(searcher, ("q", "bold upload literal")).text
    assert "Some bold words about a link and code." in text and "See upload and literal text." in text
    assert "**" not in text and "```" not in text and ":func:" not in text and "``" not in text


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        "f(*args, **kwargs) -> `x`",
        "# a comment\nx = 1",
        "2 * 3 * 4 = 24",
        "a_b_c and [1](2)",
        "",
        "=====\n",
    ],
)
def test_a_text_without_markup_stays_as_it_is(text: str) -> None:
    assert readable(text).text is text


def test_documents_are_pages_with_the_best_part_marked(searcher: Searcher) -> None:
    html = document_page(searcher, "long", Address(query="rare zebra"), name="notes")
    assert html is not None
    passage = html[html.index('id="passage"') :]
    assert re.search(r'<mark class="m\d">rare</mark> <mark class="m\d">zebra</mark>', passage)
    assert "nothing of interest" in html[: html.index('id="passage"')]
    given = document_page(searcher, "upload", Address(query="file"), passage=Place(3, 9))
    assert given is not None and '<span class="passage" id="passage">upload</span>' in given
    lines = document_page(searcher, "download", Address(query="files"))
    assert lines is not None and re.search(r'passage block" id="passage">A download [^\n]*<mark', lines)
    plain = document_page(searcher, "markdown", Address())
    assert plain is not None and "Some bold words about a link and code." in plain and "<mark" not in plain
    assert document_page(searcher, "nobody", Address()) is None


@pytest.mark.parametrize("text", ["", "5", "9-3", "-1-5", "1-1", "a-b", "1-2-3", "²-³", "9" * 20 + "-1"])
def test_a_passage_that_cannot_be_is_none(text: str) -> None:
    assert read_passage(text) is None


def test_a_passage_beyond_the_text_is_left_out(searcher: Searcher) -> None:
    html = document_page(searcher, "upload", Address(), passage=Place(10**9, 10**10))
    assert html is not None and 'id="passage"' not in html and "To upload a file" in html


def test_titles_are_suggested_by_their_words(searcher: Searcher) -> None:
    assert suggested_titles(searcher.index, "NOTE 3") == [
        "Note 3", "Note 30", "Note 31", "Note 32", "Note 33", "Note 34", "Note 35", "Note 36",
    ]  # fmt: skip
    assert suggested_titles(searcher.index, "mark") == ["Markdown"]
    assert suggested_titles(searcher.index, "39") == ["Note 39"]
    for typed in ("", "  ", "zz", "x" * 101):
        assert suggested_titles(searcher.index, typed) == []


def test_a_typed_query_marks_what_it_wants(searcher: Searcher) -> None:
    html = results_page(searcher, read_address([("q", '"vitamin note" -sunlight zebra')])).html
    assert "Nothing found" in html  # all notes are about sunlight
    html = results_page(searcher, read_address([("q", '"uploader cuts" -zebra')])).html
    assert "<mark" in html and re.findall(r"<mark[^>]*>uploader</mark> <mark[^>]*>cuts</mark>", html)
    page = document_page(searcher, "long", Address(query='"uploads a file" -zebra'))
    assert page is not None and not re.search(r"<mark[^>]*>zebra", page) and re.search(r"<mark[^>]*>uploads", page)
    assert document_page(searcher, "long", Address(query="-zebra")) is not None


def test_a_hit_whose_file_changed_says_so(tmp_path: Path) -> None:
    source = tmp_path / "notes" / "a.txt"
    source.parent.mkdir()
    source.write_text("Vitamin D is in fish.", encoding="utf-8")
    lsr.index(source.parent, tmp_path / "index", encoder="bm25").close()
    source.write_text("Something else is here now.", encoding="utf-8")
    html = results_page(Searcher(tmp_path / "index"), read_address([("q", "fish")])).html
    assert "The file behind this has changed" in html


@pytest.mark.parametrize("page_of", ["results", "document"])
def test_the_page_of_a_long_text_is_as_long_as_its_text(tmp_path: Path, page_of: str) -> None:
    sizes = []
    for n in (1_000, 2_000, 4_000):
        folder = tmp_path / str(n)
        lsr.index([{"id": "a", "title": "T", "text": "upload the file again " * n}], folder, encoder="bm25").close()
        found, address = Searcher(folder), read_address([("q", "upload file")])
        html = results_page(found, address).html if page_of == "results" else document_page(found, "a", address)
        assert html is not None
        sizes.append(len(html))
    if page_of == "results":
        assert sizes[2] - sizes[0] < 100  # a snippet, however long the text is
    else:
        assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])


def test_options_of_the_server_hold_until_an_address_says_otherwise(searcher: Searcher) -> None:
    default: Any = Searcher(searcher.index, options=searcher.options.replace(feedback=2, k=3))
    assert "1–3 of" in results_page(default, read_address([("q", "vitamin")])).html
    assert "1–5 of" in results_page(default, read_address([("q", "vitamin"), ("k", "5")])).html
