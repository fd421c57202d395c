"""HTML files: the title, the visible text, and pages that are broken in every way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.indexer.corpus.formats.markup import html_parts
from lsr.indexer.corpus.report import Reason

PAGE = """<!DOCTYPE html>
<html><head><title>Sparse &amp; fast</title><style>p { color: red }</style>
<script>var hidden = "<p>no</p>";</script></head>
<body><!-- a <b>remark</b> --><h1>The   <em>heading</em></h1>
<p>First paragraph,
in two lines.</p><p>Second&nbsp;one: 1 &lt; 2.<br>After a break.</p>
<ul><li>one<li>two</ul>
<table><tr><td>left</td><td>right</td></tr></table>
<pre>def f():
    return 1</pre>
<noscript>Switch it on.</noscript><template><p>mould</p></template>
</body></html>"""


def test_the_visible_text_one_block_a_line(plant, read):
    (document,) = read(plant({"page.html": PAGE})).values()
    assert document.title == "Sparse & fast"
    assert document.text.replace("\N{NO-BREAK SPACE}", " ").split("\n") == [
        "The heading",
        "First paragraph, in two lines.",
        "Second one: 1 < 2.",
        "After a break.",
        "one",
        "two",
        "left right",
        "def f():",
        "    return 1",
    ]


def test_without_a_title_the_first_heading_serves():
    assert html_parts("<h1>Über <i>uns</i></h1><h1>Other</h1><p>x</p>") == ("Über uns", "Über uns\nOther\nx")
    assert html_parts("<title> </title><h1>Heading</h1>")[0] == "Heading"
    assert html_parts("<p>nothing</p>") == ("", "nothing")


def test_a_drawing_and_its_title_are_not_text():
    assert html_parts("<svg><title>icon</title><text>x</text><svg></svg>y</svg><p>seen</p>") == ("", "seen")


@pytest.mark.parametrize(
    ("page", "parts"),
    [
        ("<title>Never closed<body><p>Text", ("Never closed", "Text")),
        ("<h1>Never closed<p>Text<h1>x</h1>", ("Never closed", "Never closed\nText\nx")),
        ("<p>a</div></p></p>b", ("", "a\nb")),
        ("a<![if IE]>b<![endif]>c<![CDATA[d]]>e<!wrong>f", ("", "abcef")),
        ("seen<!-- never closed <p>unseen</p>", ("", "seen")),
        ("seen<a href='x", ("", "seen")),
        ("seen <script>never closed", ("", "seen")),
        ("1 < 2 & 3 > 2", ("", "1 < 2 & 3 > 2")),
        ("&#0;&#xD800;&#x110000;&nosuch;", ("", "\ufffd\ufffd\ufffd&nosuch;")),
        ("", ("", "")),
    ],
)
def test_broken_pages_are_read_as_browsers_would(page, parts):
    assert html_parts(page) == parts


TAGS = ["<title>", "</title>", "<h1>", "</h1>", "<pre>", "</pre>", "<svg>", "</svg>", "<script>"]
MARKS = ["<", ">", "</", "<!", "<!--", "-->", "<![", "]]>", "<?", "&", "'", '"', "=", " ", "\n", "a", "p"]


@given(st.lists(st.sampled_from(TAGS + MARKS)))
def test_no_page_is_too_odd(pieces):
    title, text = html_parts("".join(pieces))
    assert "\n" not in title
    assert "\n\n\n" not in text or "<pre>" in pieces


def test_a_page_in_another_encoding_is_read_when_it_says_so(plant, read, report):
    page = '<meta http-equiv="Content-Type" content="text/html; charset=windows-1252"><p>Köln – “ja”</p>'
    folder = plant(
        {
            "a.html": page.encode("windows-1252"),
            "b.html": '<?xml version="1.0" encoding="iso-8859-2"?><p>Łódź</p>'.encode("iso-8859-2"),
            "c.html": "<p>Köln</p>".encode("latin-1"),
            "d.html": '<meta charset="no-such"><p>Köln</p>'.encode("latin-1"),
            "e.html": '<meta charset="latin-1"><p>Köln</p>'.encode(),
        }
    )
    assert {doc_id: document.text for doc_id, document in read(folder).items()} == {
        "a.html": "Köln – “ja”",
        "b.html": "Łódź",
        "e.html": "Köln",
    }
    assert report.count_skipped(Reason.NOT_UTF8) == 2
