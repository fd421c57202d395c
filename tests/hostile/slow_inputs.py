"""A maker of inputs that are slow to read for a careless reader: corpora, patterns, filters, queries and their texts.

Each is a function of a size in characters, which a reader has to take in time that grows with it and no faster.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable

Maker = Callable[[int], bytes]


def repeated(unit: str, *, first: str = "", last: str = "") -> Maker:
    """Return a maker of a unit as often as the size allows, between a beginning and an end."""
    return lambda size: (first + unit * (size // len(unit)) + last).encode()


def _deep_mail(size: int) -> bytes:
    """Return a message of parts inside each other."""
    out = ["Subject: t\nMIME-Version: 1.0\n"]
    out += (f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(size // 60))
    return "".join(out).encode()


def _many_parts(size: int) -> bytes:
    part = "--b\nContent-Type: text/html\n\n<p>x</p>\n"
    return ("Content-Type: multipart/mixed; boundary=b\n\n" + part * (size // len(part))).encode()


def _zip_of(name: str, content: bytes, times: int = 1) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(times):
            archive.writestr(name.format(number), content)
    return packed.getvalue()


def _boxed(size: int) -> bytes:
    """Return archives in an archive, as deep as the size allows."""
    content = b"some words"
    for depth in range(min(size // 1000, 100)):
        content = _zip_of(f"inner{depth}.zip", content)
    return content


def _tar(size: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for number in range(size // 50):
            archive.addfile(tarfile.TarInfo(f"{number}.txt"))
    return packed.getvalue()


def _word_xml(body: str) -> bytes:
    name = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    document = f'<w:document xmlns:w="{name}"><w:body>{body}</w:body></w:document>'
    return _zip_of("word/document.xml", document.encode())


def _pdf(size: int) -> bytes:
    """Return a file whose pages name each other as their parents and children."""
    objects = "".join(
        f"{n} 0 obj<</Type/Pages/Kids[{n + 1} 0 R {n} 0 R 1 0 R]/Count 9>>\nendobj\n" for n in range(2, size // 70)
    )
    return f"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>\nendobj\n{objects}trailer<</Root 1 0 R>>\n%%EOF".encode()


def _attributes(number: int) -> str:
    return " ".join(f"a{n}='1'" for n in range(number))


def _laughs(size: int) -> bytes:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 30))
    return f'<!DOCTYPE a [<!ENTITY e0 "ha">{entities}]><a>{"&e29;" * (size // 5)}</a>'.encode()


LINES: dict[str, Maker] = {
    "stars": repeated("*"), "underlines": repeated("_a "), "backticks": repeated("` "), "tildes": repeated("~~ "),
    "brackets": repeated("["), "links begun": repeated("[a]("), "links in links": repeated("[](()"),
    "parentheses": repeated("(x)", first="[a]("), "pictures": repeated("![", last="]()"), "tags begun": repeated("<a "),
    "comments begun": repeated("<!--"), "comments": repeated("<!---"), "sections": repeated("<![a"),
    "instructions": repeated("<?"), "entities": repeated("&#x"), "angles": repeated("<"), "closing": repeated("</a>"),
    "opening": repeated("<div>"), "attributes": repeated(" a='", first="<a"),
    "spaces": repeated(" ", first="* a", last="x"),
    "tabs": repeated("\t", first="a", last="x"), "lines": repeated("\n"), "blank lines": repeated(" \n"),
    "returns": repeated("\r"), "colons": repeated(":", first="a"), "colons and words": repeated(":a", last=" `x`"),
    "roles": repeated(":a:`"), "bars": repeated("|a "), "pluses": repeated("+-"), "equals": repeated("= "),
    "references": repeated("<<a,"), "anchors": repeated("[["), "macros": repeated("link:a"),
    "links": repeated("http://a"),
    "backslashes": repeated("\\"), "commands": repeated("\\a["), "titles": repeated("\\title{"),
    "braces": repeated("{"),
    "percents": repeated("\\\\%"), "quotes": repeated('"'), "apostrophes": repeated("'"), "triples": repeated('"""a'),
    "begun blocks": repeated("/* "), "ended blocks": repeated("*/ "), "slashes": repeated("/"), "hashes": repeated("#"),
    "stars in a block": repeated("*", first="/* x ", last="\nx"),
    "spaces in a block": repeated(" ", first="/* ]]", last="x"),
    "quoted lines": repeated("> "), "quotes of quotes": repeated(">", last="From x"), "rules": repeated("-\n"),
    "fences": repeated("```\n"), "headings": repeated("# a\n"), "front matter": repeated("a: 1\n", first="---\n"),
    "front matter of rules": repeated("---\n"), "lists of lists": repeated("- ", first="---\na: ", last="\n---\n"),
    "flows": repeated("[", first="---\na: ", last="\n---\n"),
    "tables": repeated("[a.b]\n", first="+++\n", last="+++\n"),
    "dotted": repeated("a.", first="+++\n", last="a=1\n+++\n"),
    "callouts": repeated(" ", first="----\n", last="x\n----"),
    "directives": repeated(".. a", last="::"), "indented": repeated("  .. a::\n"), "drawers": repeated(":a:\n"),
    "tags of a heading": repeated(" :a", first="* x"), "blocks": repeated("#+begin_src\n"), "cells": repeated("||"),
    "commas": repeated(","), "semicolons": repeated(";"), "columns": repeated("a,", first="text,", last="\n1\n2\n"),
    "rows": repeated('"\n', first="id,text\n"), "numbers": repeated("9"), "words": repeated("ab "),
    "a word": repeated("a"),
    "joined": repeated("a-"), "dots": repeated("a."), "arrows": repeated("->", first="a"), "paths": repeated("/a"),
    "ideographs": repeated("苹"), "marks": repeated("\u0301", first="a"), "joiners": repeated("\U0001f468\u200d"),
    "flags": repeated("\U0001f1e6"), "long dotted": repeated("a.b_c/"), "apostrophes in words": repeated("a'"),
    "nulls": repeated("\0"),
    "not UTF-8": lambda size: b"\xff" * size, "half characters": lambda size: b"a\xe2\x80" * (size // 3),
    "arrays": repeated("["), "objects": repeated('{"a":'), "values": repeated("{} ", first=""),
    "escapes": repeated("\\u0", first='["'),
    "a text begun": repeated("a", first='[{"text":"'), "digits": repeated("9", first='{"text":'),
    "cells of a notebook": repeated('{"cell_type":"markdown","source":["', first='{"cells":['),
    "headers": repeated("a: b\n"), "folded header": repeated(" a\n", first="Subject: x\n"),
    "encoded words": repeated("=?utf-8?q?a?= ", first="Subject: "), "addresses": repeated("<a@b>, ", first="To: "),
    "comments of addresses": repeated("(", first="To: "), "groups": repeated("a:;", first="To: "),
    "quoted addresses": repeated('"\\', first="From: "),
    "parameters": repeated(";a*0*=b", first="Content-Type: text/plain"),
    "dates": repeated("1 ", first="Date: "), "ids": repeated("<a", first="Message-ID: "),
    "messages": repeated("From a\n\n"), "a charset": repeated("<meta "), "prologs": repeated("<?xml ", first=" "),
}  # fmt: skip
"""Lines of a file of text, by a name. Each is read as every format of text."""

TEXT_FORMATS = (
    ".txt", ".md", ".mdx", ".html", ".xml", ".rst", ".tex", ".org", ".adoc", ".c", ".py", ".sh", ".hs", ".lua", ".lisp",
    ".svelte", ".json", ".jsonl", ".ipynb", ".csv", ".tsv", ".eml", ".mbox",
)  # fmt: skip

FILES: dict[str, tuple[str, Maker]] = {
    "parts in parts": (".eml", _deep_mail),
    "many parts": (".eml", _many_parts),
    "entities that double": (".xml", _laughs),
    "elements in elements": (".xml", repeated("<a>")),
    "an attribute each": (
        ".xml",
        lambda size: ("<a " + " ".join(f"a{n}='1'" for n in range(size // 8)) + "/>").encode(),
    ),
    "pages in a circle": (".pdf", _pdf),
    "objects of a PDF": (".pdf", repeated("1 0 obj<<", first="%PDF-1.4\n")),
    "words in words": (".docx", lambda size: _word_xml("<w:p>" * (size // 5))),
    "tables in tables": (".docx", lambda size: _word_xml("<w:tbl><w:tr><w:tc>" * 200 + "x")),
    "archives in archives": (".zip", _boxed),
    "members": (".zip", lambda size: _zip_of("{}.txt", b"x", size // 100)),
    "members of a tar": (".tar.gz", _tar),
    "zeros": (".txt.gz", lambda size: gzip.compress(bytes(size * 100))),
    "a line of spaces": (".jsonl.gz", lambda size: gzip.compress(b" " * (size * 100))),
    "objects in one line": (".json", lambda size: json.dumps([{"text": "x", "a": {"b": [1] * (size // 3)}}]).encode()),
    "names": (".jsonl", lambda size: json.dumps({"text": "x"} | {f"n{n}": n for n in range(size // 12)}).encode()),
    "names in names": (".json", lambda size: b'{"a":' * 300 + b"1" + b"}" * 300),
}
"""Files of other formats, by a name."""

PATTERNS: dict[str, Callable[[int], str]] = {
    "stars": lambda size: "*a" * (size // 2) + "b",
    "double stars": lambda size: "**/" * (size // 3) + "b",
    "double stars and stars": lambda size: "**/*a*/" * (size // 7) + "b",
    "questions": lambda size: "?" * size,
    "brackets": lambda size: "[" * size,
    "classes": lambda size: "[[:alpha:]]*" * (size // 12),
    "a class": lambda size: "[" + "a-" * (size // 2) + "]",
    "negations": lambda size: "!*\n*\n" * (size // 5),
    "backslashes": lambda size: "\\" * size,
    "lines": lambda size: "".join(f"*a{n}*b*\n" for n in range(size // 10)),
}
"""Contents of .gitignore files."""

FILTERS: dict[str, Callable[[int], str]] = {
    "parentheses": lambda size: "(" * size,
    "negations": lambda size: "not " * (size // 4) + "year > 1",
    "alternatives": lambda size: " or ".join(["year > 1"] * (size // 12)),
    "conjunctions of texts": lambda size: " and ".join(["lang contains 'e'"] * (size // 22)),
    "phrases": lambda size: " or ".join([f"text ~ 'a a {n}'" for n in range(size // 22)]),
    "a list": lambda size: f"year in ({','.join(map(str, range(size // 6)))})",
    "texts": lambda size: f"lang in ({','.join(repr(str(n)) for n in range(size // 8))})",
    "a number": lambda size: "year > " + "9" * size,
    "an exponent": lambda size: "year > 1e" + "9" * 200,
    "a text begun": lambda size: "lang == '" + "\\'" * (size // 2),
    "a text": lambda size: "lang contains '" + "a" * size + "'",
    "quotes": lambda size: "'" * size,
    "backticks": lambda size: "`" * size,
    "minuses": lambda size: "year > " + "-" * size + "1",
    "dates": lambda size: "year > 2020-01-01T" + "00:" * (size // 3),
    "spaces": lambda size: "year" + " " * size + "> 1",
    "names": lambda size: "a." * (size // 2) + " == 1",
    "marks": lambda size: "a\u0301" * (size // 2) + " == 1",
}

QUERIES: dict[str, Callable[[int], str]] = {
    "colons": lambda size: "a" + ":" * size,
    "words": lambda size: " ".join(f"a{n}" for n in range(size // 6)),
    "the same word": lambda size: "common " * (size // 7),
    "a word": lambda size: "a" * size,
    "phrases": lambda size: '"a a b" ' * 60,
    "a long phrase": lambda size: '"' + "a " * (size // 2) + 'b"',
    "quotes": lambda size: '" ' * (size // 2),
    "quotes begun": lambda size: '+"a ' * (size // 4),
    "curly quotes": lambda size: "„a " * (size // 3),
    "angled quotes": lambda size: "+«a " * (size // 4),
    "signs": lambda size: "+" * size,
    "signed words": lambda size: "+a -b " * (size // 6),
    "marks": lambda size: "a" + "\u0301" * size,
    "joiners": lambda size: "\U0001f468\u200d" * (size // 2),
    "ideographs": lambda size: "苹果" * (size // 2),
    "apostrophes": lambda size: "a'" * (size // 2),
    "paths": lambda size: "/a.b" * (size // 4),
    "arrows": lambda size: "a->" * (size // 3),
    "dashes": lambda size: "--a" * (size // 3),
}

TEXTS: dict[str, Callable[[int], str]] = {
    "the same word": lambda size: "a " * (size // 2),
    "joined": lambda size: "a-" * (size // 2),
    "no spaces": lambda size: "a:" * (size // 2),
    "one ideograph": lambda size: "苹" * size,
    "sentences": lambda size: "a. " * (size // 3),
}
"""Texts of documents that the queries are asked of."""
