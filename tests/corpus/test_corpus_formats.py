"""Formats of one document a file: title, text and fields of each, and input that is hostile."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_pdf import pdf

from lsr.errors import BadDocumentError
from lsr.indexer.corpus import opening
from lsr.indexer.corpus.formats.languages import LANGUAGES, language_of
from lsr.indexer.corpus.formats.light.asciidoc import asciidoc_parts
from lsr.indexer.corpus.formats.light.latex import latex_parts
from lsr.indexer.corpus.formats.light.org import org_parts
from lsr.indexer.corpus.formats.light.rst import rst_parts
from lsr.indexer.corpus.formats.mail import mail_parts
from lsr.indexer.corpus.formats.markdown import markdown_parts
from lsr.indexer.corpus.formats.notebook import notebook_parts
from lsr.indexer.corpus.formats.office import pdf as pdf_format
from lsr.indexer.corpus.formats.office import zipped
from lsr.indexer.corpus.formats.source_code import source_parts
from lsr.indexer.corpus.formats.xml import xml_parts
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.registry import all_formats
from lsr.indexer.corpus.report import Reason


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


RST = """\
.. _label:

=======
A Title
=======

:Author: Ada
:Empty:

See :func:`~a.b.c` and :doc:`the guide </x>` and `Link <http://x>`_ or ``code *x*`` **bold**, ref_.

.. note:: Be careful
   :class: x

   Body text here::

       x = [1]

.. code-block:: python
   :linenos:

   import os

.. a comment
   goes here

.. toctree::
   :maxdepth: 2

   intro

Sub
---

+---+---+
| a | b |
+---+---+

.. [1] A footnote.
.. |logo| image:: x.png
.. versionadded:: 1.2
"""


def test_rst_loses_its_markup():
    parts = rst_parts(RST)
    assert (parts.title, parts.fields) == ("A Title", {"author": "Ada"})
    assert lines_of(parts.text) == [
        "See a.b.c and the guide and Link or code *x* bold, ref.",
        "Be careful", "Body text here:", "x = [1]", "import os", "Sub", "a   b", "A footnote.", "1.2",
    ]  # fmt: skip


def test_org_loses_its_markup():
    parts = org_parts(
        "#+TITLE: My *Doc*\n#+AUTHOR: Ada\n#+FILETAGS: :a:b:\n* TODO [#A] Heading :tag:\n:PROPERTIES:\n:ID: 1\n:END:\n"
        "Some /it/ and [[http://x][link]].\n#+begin_src python\nx = *1*\n#+end_src\n# comment\n| a | b |\n|---+---|\n"
    )
    assert (parts.title, parts.fields) == ("My Doc", {"author": "Ada", "tags": ["a", "b"]})
    assert lines_of(parts.text) == ["Heading", "Some it and link.", "x = *1*", "a   b"]


def test_asciidoc_loses_its_markup():
    parts = asciidoc_parts(
        "= Title\n:author: Ada\n\nText *bold* `mono` and link:x.html[a link] <<ref,see>>.\n\n[source,python]\n----\n"
        "x = *1* <1>\n----\n.Block\n== Second\n// c\n////\nhidden\n////\nend +\n"
    )
    assert (parts.title, parts.fields) == ("Title", {"author": "Ada"})
    assert lines_of(parts.text) == ["Text bold mono and a link see.", "x = *1*", "Block", "Second", "end"]


def test_latex_loses_its_commands():
    parts = latex_parts(
        '\\documentclass{article}\n\\title{A \\emph{Title}}\n\\author{K\\"onig}\n\\begin{document}\n'
        "\\section{Intro} % c\nText \\textbf{bold} 5\\% \\cite{x} $x^2$ \\href{http://x}{link}.\n\\end{document}\nafter"
    )
    assert (parts.title, parts.fields, parts.first_line) == ("A Title", {"author": "König"}, 4)
    assert lines_of(parts.text) == ["Intro", "Text bold 5%  $x^2$ link."]


@pytest.mark.parametrize("parts_of", [rst_parts, org_parts, asciidoc_parts, latex_parts])
@given(source=st.text(st.sampled_from("ab \n.:=-*_`|[]<>#+%\\{}~^/\"'"), max_size=80))
def test_light_markup_keeps_every_line_in_its_place(parts_of, source):
    parts = parts_of(source)
    assert parts.text.count("\n") == source.count("\n") - (parts.first_line - 1)
    assert "\n" not in parts.title


@pytest.mark.parametrize("parts_of", [rst_parts, org_parts, asciidoc_parts, latex_parts, markdown_parts, xml_parts])
@pytest.mark.parametrize(
    "piece",
    ["*", "_a", "a_", "`", "``", "[", "[[", "link:", "https://x", "<<", "\\begin[", "\\a{", "{", "|a", ":a:", "-a", "%",
     "\\", "\\title{", "=", "~", ".. ", "<a", "&x;", "+a", "a*", "#", "/a", "![", "> "],
)  # fmt: skip
def test_markup_is_stripped_in_linear_time(parts_of, piece):
    for source in (piece * 20_000, f"{piece}\n" * 2_000):
        assert len(parts_of(source).text) <= 2 * len(source)


PYTHON = '''#!/usr/bin/env python
"""A module.

More of it.
"""
import os  # why
x = "# no comment"
def f():
    r"""Inner."""
    y = """no docstring # at all"""
'''


def test_comments_and_docstrings_come_first():
    parts = source_parts(PYTHON, language_of("a.py"), "a.py")
    assert (parts.title, parts.fields) == ("a.py", {"language": "python"})
    comments, code = parts.text.split("\n\n")
    assert comments.split("\n") == ["/usr/bin/env python", "A module.", "More of it.", "why", "Inner."]
    assert lines_of(code) == ["import os", 'x = "# no comment"', "def f():", 'y = """no docstring # at all"""']


@pytest.mark.parametrize(
    ("name", "source", "comments"),
    [
        ("a.c", '/** Doc.\n * @x y\n */\nint x; // run\nchar* s = "/* no */";', "Doc.\n@x y\nrun"),
        ("a.js", "const s = `// no`; // yes\n/* never closed", "yes\nnever closed"),
        ("a.sql", "-- one\nselect '--no'; /* two */", "one\ntwo"),
        ("a.lua", "--[[ one\ntwo ]]\nx = 1 -- three", "one\ntwo\nthree"),
        ("a.hs", "{- one -}\nx = 1 -- two", "one\ntwo"),
        ("a.el", ";; one\n(setq x \"; no\")", "one"),
        ("a.erl", "% one\nX = 1.", "one"),
        ("a.sh", "# one\necho '# no' # two", "one\ntwo"),
        ("a.vue", "<!-- one -->\n<p>x</p>", "one"),
        ("a.vb", "' one\nDim x", "one"),
        ("a.f90", "! one\nx = 1", "one"),
    ],
)  # fmt: skip
def test_comments_of_each_family_are_found(name, source, comments):
    found = source_parts(source, language_of(name), name).text.split("\n\n")[0]
    assert found == comments


@pytest.mark.parametrize("name", "a.py a.c a.sh a.lua a.el a.erl a.hs a.vb a.f90 a.vue".split())
@pytest.mark.parametrize("piece", ['"', "'", "/*", "(*", "{-", "<!--", "#|", '"""', "--[[", "\\", "`", "r'", "-", " "])
def test_source_code_is_read_in_linear_time(name, piece):
    assert len(source_parts(piece * 20_000, language_of(name), "x").text) <= len(piece) * 20_000 + 2


@given(st.text(st.sampled_from("ab\"'#/*\n\\ -"), max_size=60), st.sampled_from(LANGUAGES))
def test_no_word_of_source_code_is_lost(source, language):
    text = source_parts(source, language, "x").text
    assert sorted(text.replace("\n", "").count(letter) for letter in "ab") == sorted(
        source.count(letter) for letter in "ab"
    )


def notebook(*cells: dict[str, object], **more: object) -> str:
    return json.dumps({"cells": cells, "metadata": {"kernelspec": {"language": "python"}}} | more)


def test_a_notebook_gives_its_cells(plant, read):
    source = notebook(
        {"cell_type": "markdown", "source": ["# A *Title*\n", "\n", "Text"]},
        {"cell_type": "code", "source": "x = 1\n", "outputs": [{"text": "hidden"}]},
        {"cell_type": "markdown", "source": "## Second\n\nMore"},
        {"cell_type": "code", "source": None},
    )
    document = read(plant({"a.ipynb": source}))["a.ipynb"]
    assert (document.title, document.fields) == ("A Title", {"language": "python"})
    assert document.text == "Text\n\nx = 1\n\n\nSecond\n\nMore"


@pytest.mark.parametrize("content", ["{}", "[1]", "nonsense", '{"cells": 3}', "[" * 100_000])
def test_what_is_no_notebook_is_an_error_where_it_was_named_and_else_skipped(plant, read, report, content):
    folder = plant({"a.ipynb": content, "b.txt": "x"})
    assert "b.txt" in read(folder)
    if content != "{}":
        assert report.count_skipped(Reason.BAD_FILE) == 1
        with pytest.raises(BadDocumentError, match=r"a\.ipynb: not a notebook"):
            list(read_corpus([folder / "a.ipynb"]))


def test_a_notebook_of_format_3_is_read():
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1"}]}]}
    assert notebook_parts(json.dumps(old)).text == "x = 1"


def test_xml_gives_the_texts_of_its_elements():
    parts = xml_parts('<?xml version="1.0"?><a><m:title>T &amp; U</m:title><p q="no">x <b>y</b> z</p><!-- no --></a>')
    assert (parts.title, parts.text) == ("T & U", "T & U\nx\ny\nz")


def test_entities_of_xml_are_not_expanded():
    levels = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    assert xml_parts(f'<!DOCTYPE a [<!ENTITY l0 "x">{levels}]><a>before &l11; after</a>').text == "before after"


def test_xml_that_is_not_well_formed_gives_what_is_between_its_tags():
    assert xml_parts("<a>one<b>two</a>").text.split() == ["one", "two"]


MAIL = (
    "From: Ada <ada@example.org>\r\nTo: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nSubject: On\r\n trees\r\n"
    "Date: Fri, 02 Jan 2026 03:04:05 +0000\r\nMessage-ID: <1@x>\r\n"
)


def test_a_message_gives_its_plain_text(plant, read):
    body = (
        'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=latin-1\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hi"
        "\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=x\r\n\r\nsecret\r\n--b--\r\n"
    )
    document = read(plant({"a.eml": MAIL + body}))["a.eml"]
    assert (document.title, document.text) == ("On trees", "Grüße")
    assert document.fields == {
        "from": "Ada <ada@example.org>",
        "to": "Jürgen <j@example.org>",
        "date": "2026-01-02T03:04:05+00:00",
        "message-id": "<1@x>",
    }


def test_html_is_read_where_a_message_has_nothing_else():
    assert mail_parts((MAIL + "Content-Type: text/html\r\n\r\n<p>Hi <b>you</b>").encode()).text == "Hi you"


def test_a_mailbox_gives_a_document_a_message(plant, read):
    box = "From a@x Fri\nSubject: One\n\nText\n>From here\n\nFrom b@x Sat\nSubject: Two\n\nMore\n"
    documents = read(plant({"a.mbox": box}))
    assert {doc_id: (each.title, each.text) for doc_id, each in documents.items()} == {
        "a.mbox/1": ("One", "Text\nFrom here"),
        "a.mbox/2": ("Two", "More"),
    }


@given(
    st.binary(max_size=200)
    | st.text(st.sampled_from("From:Subject =?utf-8?q\n;\"'<>@,()"), max_size=200).map(str.encode)
)
def test_no_message_is_too_odd(data):
    parts = mail_parts(data)
    assert isinstance(parts.text, str)


def test_a_pdf_gives_the_text_of_its_pages(plant, read):
    pytest.importorskip("pypdf")
    document = read(plant({"a.pdf": pdf("First page", "Second page")}))["a.pdf"]
    assert (document.title, document.text) == ("A Paper", "First page\fSecond page")
    assert document.fields == {"author": "Ada", "pages": 2}


def test_a_pdf_of_pictures_and_an_encrypted_one_are_counted_as_without_text(plant, read, report):
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("Secret")))
    writer.encrypt("password", algorithm="RC4-128")
    encrypted = io.BytesIO()
    writer.write(encrypted)
    folder = plant({"a.pdf": pdf(""), "b.pdf": encrypted.getvalue(), "c.txt": "x"})
    assert list(read(folder)) == ["c.txt"]
    assert report.count_skipped(Reason.NO_TEXT) == 2


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4 nonsense", pdf("x")[:200], b"\xff" * 100])
def test_a_damaged_pdf_is_an_error_where_it_was_named_and_else_skipped(plant, read, report, data):
    pytest.importorskip("pypdf")
    folder = plant({"a.pdf": data, "c.txt": "x"})
    assert list(read(folder)) == ["c.txt"]
    assert report.count_skipped(Reason.BAD_FILE) == 1
    with pytest.raises(BadDocumentError, match=r"a\.pdf: the PDF can't be read: .*--skip-bad"):
        list(read_corpus([folder / "a.pdf"]))


def slow_pdf() -> bytes:
    """A page of millions of operators in a few kilobytes."""
    pypdf = pytest.importorskip("pypdf")
    stream = pypdf.generic.DecodedStreamObject()
    stream.set_data(b"BT /F1 9 Tf " + b"(a) Tj " * 400_000 + b"ET")
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("x")))
    writer.pages[0][pypdf.generic.NameObject("/Contents")] = writer._add_object(stream.flate_encode())
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_pdf_that_takes_too_long_is_broken_and_the_next_one_read(plant, read, report, monkeypatch):
    monkeypatch.setattr(pdf_format, "PAGE_SECONDS", 1)
    monkeypatch.setattr(pdf_format, "_worker", pdf_format._Worker())
    found = read(plant({"a.pdf": slow_pdf(), "b.pdf": pdf("Sound")}))
    assert found["b.pdf"].text == "Sound"
    assert "takes too long at page 1" in report.skipped[Reason.BAD_FILE].first
    pdf_format._worker.close()


def test_a_pdf_that_takes_too_much_memory_is_broken(plant, read, report, monkeypatch):
    monkeypatch.setattr(pdf_format, "MEMORY_BYTES", 160 << 20)
    monkeypatch.setattr(pdf_format, "_worker", pdf_format._Worker())
    folder = plant({"a.pdf": pdf("x") + b" " * (150 << 20), "b.pdf": pdf("Sound")})
    monkeypatch.setattr(opening, "MAX_DOCUMENT_BYTES", 1 << 30)
    assert list(read(folder)) == ["b.pdf"]
    assert report.count_skipped(Reason.BAD_FILE) == 1
    pdf_format._worker.close()


def test_a_reader_of_pdfs_that_was_killed_is_started_again(plant, read, report):
    folder = plant({"a.pdf": pdf("First")})
    assert len(read(folder)) == 1
    assert pdf_format._worker._process is not None
    pdf_format._worker._process.kill()
    pdf_format._worker._process.wait()
    report.documents = 0
    assert len(read(folder)) == 1
    assert not report.skipped


def test_a_word_document_gives_paragraphs_and_tables_in_their_order(plant, read):
    docx = pytest.importorskip("docx")
    made = docx.Document()
    made.add_heading("On trees", 1)
    made.add_paragraph("They grow.")
    table = made.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "a", "b"
    made.add_paragraph("Slowly.")
    made.core_properties.author, made.core_properties.title = "Ada", ""
    out = io.BytesIO()
    made.save(out)
    document = read(plant({"a.docx": out.getvalue()}))["a.docx"]
    assert (document.title, document.text) == ("On trees", "On trees\nThey grow.\na b\nSlowly.")
    assert document.fields["author"] == "Ada"


def test_a_presentation_gives_the_texts_of_its_slides(plant, read):
    pptx = pytest.importorskip("pptx")
    made = pptx.Presentation()
    for title in ("First", "Second"):
        slide = made.slides.add_slide(made.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = f"{title} body"
    slide.notes_slide.notes_text_frame.text = "A note"
    made.core_properties.title = ""
    out = io.BytesIO()
    made.save(out)
    document = read(plant({"a.pptx": out.getvalue()}))["a.pptx"]
    assert (document.title, document.text) == ("First", "First\nFirst body\fSecond\nSecond body\nA note")
    assert document.fields["slides"] == 2


def book(**chapters: str) -> bytes:
    out = io.BytesIO()
    items = "".join(f'<item id="{name}" href="{name}.xhtml"/>' for name in chapters)
    spine = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:x"><rootfiles><rootfile full-path="OPS/p.opf"/></rootfiles></container>',
        )
        archive.writestr(
            "OPS/p.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
            f"<dc:title>A Book</dc:title><dc:creator>Ada</dc:creator></metadata><manifest>{items}</manifest>"
            f"<spine>{spine}</spine></package>",
        )
        for name, text in chapters.items():
            archive.writestr(f"OPS/{name}.xhtml", f"<html><body><p>{text}</p></body></html>")
    return out.getvalue()


def test_a_book_gives_its_chapters_in_the_order_of_reading(plant, read):
    document = read(plant({"a.epub": book(two="Second in name", one="First in name")}))["a.epub"]
    assert (document.title, document.text) == ("A Book", "Second in name\fFirst in name")
    assert document.fields == {"author": "Ada"}


@pytest.mark.parametrize("suffix", [".epub", ".docx", ".pptx"])
def test_a_zip_that_unpacks_to_too_much_is_refused(plant, monkeypatch, suffix):
    pytest.importorskip("docx")
    pytest.importorskip("pptx")
    monkeypatch.setattr(zipped, "MAX_MEMBER_BYTES", 1 << 20)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", b"\0" * (2 << 20))
    folder = plant({f"a{suffix}": out.getvalue()})
    with pytest.raises(BadDocumentError, match="unpacks to more than"):
        list(read_corpus([folder / f"a{suffix}"]))


@pytest.mark.parametrize("suffix", [".epub", ".docx", ".pptx"])
@pytest.mark.parametrize(
    "data", [b"", b"nonsense", book(a="x")[:300], book(a="x").replace(b"OPS/p.opf", b"OPS/q.opf", 1)]
)
def test_a_damaged_zip_is_an_error_where_it_was_named(plant, suffix, data):
    pytest.importorskip("docx")
    pytest.importorskip("pptx")
    folder = plant({f"a{suffix}": data})
    with pytest.raises(BadDocumentError, match=rf"a\{suffix}: .*--skip-bad"):
        list(read_corpus([folder / f"a{suffix}"]))


def test_every_format_says_what_it_takes_and_no_two_share_a_suffix():
    suffixes = [suffix for each in all_formats() for suffix in each.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(
        each.title and each.text and suffix == suffix.lower() for each in all_formats() for suffix in each.suffixes
    )
