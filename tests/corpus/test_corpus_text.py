"""Plain text and Markdown files: titles, text, encodings, and the cleaning of what no writer takes."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.indexer.corpus import opening
from lsr.indexer.corpus.formats.markdown import markdown_parts, without_markup
from lsr.indexer.corpus.formats.text import clean
from lsr.indexer.corpus.report import Reason


def test_a_text_file_is_one_document(plant, read):
    folder = plant({"sub/a.txt": "First line.\r\nSecond line.\rThird.\n"})
    (document,) = read(folder).values()
    assert (document.doc_id, document.title) == ("sub/a.txt", "")
    assert document.text == "First line.\nSecond line.\nThird."


def test_a_text_of_megabytes_is_still_one_document(plant, read):
    text = "All work and no play makes Jack a dull boy.\n" * 70_000
    folder = plant({"long.txt": text, "long.md.gz": gzip.compress(text.encode())})
    assert [document.text for document in read(folder).values()] == [text.strip()] * 2


def test_a_text_that_would_not_fit_in_memory_is_skipped_and_counted(plant, read, report, monkeypatch):
    monkeypatch.setattr(opening, "MAX_DOCUMENT_BYTES", 1 << 20)
    folder = plant({"a.txt": "x", "b.txt": "y" * (2 << 20), "c.txt.gz": gzip.compress(b"z" * (2 << 20))})
    assert list(read(folder)) == ["a.txt"]
    assert report.count_skipped(Reason.TOO_LARGE) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_utf_with_and_without_a_byte_order_mark_is_read(plant, read, encoding):
    folder = plant({"a.txt": "Grüße aus Łódź 🙂".encode(encoding)})
    assert read(folder)["a.txt"].text == "Grüße aus Łódź 🙂"


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_16_of_either_byte_order_is_read_by_its_mark(plant, read, order):
    folder = plant({"a.md": ("\ufeff# Überschrift\n\nText").encode(f"utf-16-{order}")})
    assert read(folder)["a.md"].title == "Überschrift"


@pytest.mark.parametrize(
    "content",
    ["Köln".encode("latin-1"), b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n\x00\x00", "plain".encode("utf-16-le"), b"caf\xc3"],
)
def test_what_is_not_utf8_is_skipped_and_counted(plant, read, report, content):
    folder = plant({"a.txt": "fine", "b.txt": content, "c.md": content})
    assert list(read(folder)) == ["a.txt"]
    assert report.skipped[Reason.NOT_UTF8].count == 2
    assert report.skipped[Reason.NOT_UTF8].first.startswith(str(folder / "b.txt"))


def test_nul_bytes_are_replaced_and_counted(plant, read, report):
    folder = plant({"a.txt": "before\0after", "b.md": "# Ti\0tle\n\ntext"})
    documents = read(folder)
    assert documents["a.txt"].text == "before\ufffdafter"
    assert documents["b.md"].title == "Ti\ufffdtle"
    assert report.cleaned is not None
    assert (report.cleaned.count, report.cleaned.first) == (2, "a.txt")


@given(st.text(st.characters(exclude_categories=[]) | st.sampled_from("\0\ud83d\ude00a ")))
def test_clean_text_can_always_be_written_and_only_what_is_bad_changes(text):
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert "\0" not in cleaned
    if "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text):
        assert cleaned is text


def test_a_pair_of_surrogates_is_the_character_it_means():
    assert clean("x\ud83d\ude00") == "x😀"
    assert clean("x\ud83d") == "x\ufffd"


def test_empty_files_are_documents_and_counted(plant, read, report):
    folder = plant({"a.txt": "", "b.md": " \n\n", "c.txt": "x"})
    assert {doc_id: document.text for doc_id, document in read(folder).items()} == {
        "a.txt": "",
        "b.md": "",
        "c.txt": "x",
    }
    assert report.empty_documents == 2


def title_and_text(source: str) -> tuple[str, str]:
    parts = markdown_parts(source)
    return parts.title, parts.text.strip()


@pytest.mark.parametrize(
    ("source", "title", "text"),
    [
        ("# Sparse *vectors*\n\nThey are.", "Sparse vectors", "They are."),
        ("## Closed ##\nText", "Closed", "Text"),
        ("# C#\nText", "C#", "Text"),
        ("Set in\n======\n\nText", "Set in", "Text"),
        ("An intro.\n\n# Later\n\nText", "Later", "An intro.\n\nLater\n\nText"),
        ("No heading\n\nat all", "", "No heading\n\nat all"),
        ("#no-heading\n#\nText", "", "#no-heading\n\nText"),
        ("- a list\n---\nText", "", "- a list\n\nText"),
        ("---\n\nA rule first.\n\n---\n\nAnd last.", "", "A rule first.\n\n\n\nAnd last."),
        ("", "", ""),
        ("# Alone", "Alone", ""),
    ],
)
def test_the_first_heading_is_the_title_and_goes_from_the_text_where_it_begins_it(source, title, text):
    assert title_and_text(source) == (title, text)


@pytest.mark.parametrize(
    ("front", "title"),
    [
        ("---\ntitle: 'It''s here'\ndate: 2026-01-01\n---\n", "It's here"),
        ('---\ndate: 2026-01-01\nTitle: "Quoted"\n...\n', "Quoted"),
        ('+++\ntitle = "In TOML"\n+++\n', "In TOML"),
        ("---\n# a remark\ntitle: Plain: with colon\n---\n", "Plain: with colon"),
        ("---\ntags:\n  - a\n---\n", "Heading"),
        ("---\ntitle:\n---\n", "Heading"),
        ("---\n---\n", "Heading"),
    ],
)
def test_front_matter_is_taken_out_and_its_title_goes_before_a_heading(front, title):
    found, text = title_and_text(front + "\n# Heading\n\nText")
    assert found == title
    assert text == ("Text" if title == "Heading" else "Heading\n\nText")


def test_front_matter_becomes_fields(plant, read):
    front = "---\ntitle: T\ndate: 2026-01-02\nyear: 2026\ndraft: false\ntags: [a, 1]\nauthor: {name: Ada}\n---\nText\n"
    assert read(plant({"a.md": front}))["a.md"].fields == {
        "date": "2026-01-02",
        "year": 2026,
        "draft": False,
        "tags": ["a", "1"],
        "author.name": "Ada",
    }


@pytest.mark.parametrize(
    "front", ["---\na: &x [1]\nb: *x\nc: plain\n---\n", "---\nc: plain\nbad: [\n---\n", "+++\nc = plain\n+++\n"]
)
def test_front_matter_that_cannot_be_parsed_gives_its_simple_lines(front):
    parts = markdown_parts(front + "Text")
    assert parts.fields["c"] == "plain"
    assert parts.text == "Text"


def test_aliases_in_front_matter_do_not_grow_without_bound():
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 30))
    assert markdown_parts(f"---\nl0: &l0 [x]\n{levels}---\nText").text == "Text"


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("a **bold** and *slanted* _word_ here", "a bold and slanted word here"),
        ("snake_case_name and 2*3*4", "snake_case_name and 2*3*4"),
        ("see [the guide](https://x.org/a_(b) 'T') now", "see the guide now"),
        ("![a picture](p.png) and [![badge](b.svg)](https://x)", "a picture and badge"),
        ("[text][ref] and [single]", "text and [single]"),
        ("<https://example.org> and <b>tag</b>", "https://example.org and tag"),
        ("`code *kept*` and ``a ` b``", "code *kept* and ``a ` b``"),
        (r"escaped \*stars\*", "escaped *stars*"),
        ("~~gone~~ stays", "gone stays"),
    ],
)
def test_marks_inside_a_line_are_taken_out(line, plain):
    assert without_markup(line) == plain


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("> quoted\n> > twice", "quoted\ntwice"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a   b \n\n 1   2"),
        ("```\n**code**\n```\n", "**code**"),
    ],
)
def test_blocks_lose_their_marks(source, text):
    assert title_and_text(source) == ("", text)


def test_imports_and_exports_are_left_out_of_mdx(plant, read):
    source = "import X from './x'\nexport const a = 1\n\n# Title\n\n<X prop={1}>Inner</X>\n"
    document = read(plant({"a.mdx": source}))["a.mdx"]
    assert (document.title, document.text) == ("Title", "Title\n\nInner")


def test_code_is_kept_and_its_remarks_are_no_headings():
    source = "```python\n# not a heading\nx = 1\n```\n\n~~~~\n# nor this\n~~~\n~~~~\n\nReal\n----\n\n    # code\n"
    parts = markdown_parts(source)
    assert parts.title == "Real"
    assert [line for line in parts.text.split("\n") if line] == [
        "# not a heading", "x = 1", "# nor this", "~~~", "Real", "    # code",
    ]  # fmt: skip


@given(st.text(st.sampled_from("#-=`~ \n\tab:+>.1\"'*_[]()<|\\"), max_size=60))
def test_no_markdown_is_too_odd_and_the_text_keeps_its_lines(source):
    parts = markdown_parts(source)
    assert "\n" not in parts.title
    assert parts.first_line + parts.text.count("\n") == 1 + source.count("\n") or not parts.text


@given(st.text(st.sampled_from("#-= \n\tab:+.1\"'"), max_size=60))
def test_no_word_is_lost_but_front_matter(source):
    parts = markdown_parts(source)
    if not source.lstrip().startswith(("---", "+++")):
        assert sorted(set("ab") & set(parts.title + parts.text)) == sorted(set("ab") & set(source))


@pytest.mark.parametrize("piece", ["`", "[", "](", "*", "_ ", "<", "**a ", "[a](b", "~~", "|-", "> ", "![", "\\"])
def test_markdown_is_stripped_in_linear_time(piece):
    assert len(without_markup(piece * 50_000)) <= len(piece) * 50_000
