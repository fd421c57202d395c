"""Markdown and MDX, one document a file: without its markup, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.formats.front_matter import split_front_matter
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}#{1,6}(?=[ \t]|\Z)")
_SETEXT = re.compile(r" {0,3}(?:=+|-+)[ \t]*")
_NOT_A_PARAGRAPH = re.compile(r" {4}|\t| {0,3}(?:[>|]|[-*+][ \t]|\d+[.)][ \t])")

_QUOTE = re.compile(r"^ {0,3}(?:> ?)+")
_CODE = re.compile(r"(?<!`)(`++)([^`]+)\1(?!`)")
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)|\[[^\[\]]*\])")
_AUTOLINK = re.compile(r"<((?:https?|mailto):[^<>\s]*)>")
_DEFINITION = re.compile(r"^ {0,3}\[[^\[\]]+\]:[ \t]*\S*[ \t]*")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--[^<>]*-->")
_STRONG = re.compile(
    r"(?<![\w*\\])(\*{1,3})(?=[^\s*])([^*\n]*[^\s*\\])\1(?![\w*])|(?<![\w\\])(_{1,3})(?=[^\s_])([^_\n]*[^\s_\\])\3(?!\w)"
)
_STRUCK = re.compile(r"~~(?=\S)([^~\n]+)~~")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_IMPORT = re.compile(r"^(?:import|export)\s.*$")


def markdown_parts(source: str, *, mdx: bool = False) -> Parts:
    """Return title, readable text and fields of a Markdown file.

    The title is that of the front matter, or else the first heading; a heading at the very beginning that became the
    title is left out of the text. Front matter becomes fields. Every line of the text keeps its place.

    mdx: leave out lines of imports and exports, too.
    """
    fields, start = split_front_matter(source)
    body = source[start:]
    first_line = source.count("\n", 0, start) + 1
    heading, heading_line, after = _first_heading(body)
    given = next((value for key, value in fields.items() if key.lower() == "title"), None)
    title = str(given).strip() if isinstance(given, str | int | float) else ""
    fields = {key: value for key, value in fields.items() if key.lower() != "title"}
    heading = without_markup(heading)
    lines = body.split("\n")
    if heading and not title and not "".join(lines[:heading_line]).strip():
        first_line += after
        lines = lines[after:]
    return Parts(title or heading, "\n".join(_plain_lines(lines, mdx=mdx)), fields, first_line)


def _plain_lines(lines: list[str], *, mdx: bool) -> Iterator[str]:
    """Yield each line without its markup; code stays as it is, between fences that become empty lines."""
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
                yield ""
            else:
                yield line
        elif mark:
            fence = mark[1]
            yield ""
        elif mdx and _IMPORT.match(line):
            yield ""
        else:
            yield _plain_line(line)


def _plain_line(line: str) -> str:
    if line.startswith(("    ", "\t")):
        return line
    line = _QUOTE.sub("", line)
    if "|" in line and "-" in line and not line.strip(" :|-"):  # the rule below a table's head
        return ""
    atx = _ATX.match(line)
    if atx:
        line = _without_closing_marks(line[atx.end() :].strip())
    elif _SETEXT.fullmatch(line):
        return ""
    elif line.lstrip().startswith("|"):
        line = line.strip().strip("|").replace("|", " ")
    return without_markup(line)


def without_markup(line: str) -> str:
    """Return a line of Markdown without the marks inside it."""
    pieces = []
    at = 0
    for code in _CODE.finditer(line):
        pieces += [_unmarked(line[at : code.start()]), code[2].strip()]
        at = code.end()
    return "".join(pieces) + _unmarked(line[at:])


def _unmarked(text: str) -> str:
    if not text or text.isalnum():
        return text
    text = _DEFINITION.sub("", text)
    if "[" in text:
        text = _LINK.sub(r"\1", _LINK.sub(r"\1", text))  # twice, for a picture that is a link
    if "<" in text:
        text = _TAG.sub("", _AUTOLINK.sub(r"\1", text))
    if "*" in text or "_" in text:
        text = _STRONG.sub(_inner, _STRONG.sub(_inner, text))
    if "~~" in text:
        text = _STRUCK.sub(r"\1", text)
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _inner(match: re.Match[str]) -> str:
    return match[2] or match[4] or ""


def _first_heading(body: str) -> tuple[str, int, int]:
    """Return the first heading (or ""), the line it begins in and the line after it."""
    fence = ""
    previous = ""
    for number, line in enumerate(body.split("\n")):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            previous = ""
            continue
        if mark:
            fence, previous = mark[1], ""
            continue
        atx = _ATX.match(line)
        if atx:
            heading = _without_closing_marks(line[atx.end() :].strip())
            if heading:
                return heading, number, number + 1
            continue
        if previous and _SETEXT.fullmatch(line):
            return previous, number - 1, number + 1
        previous = "" if _NOT_A_PARAGRAPH.match(line) else line.strip()
    return "", -1, -1


def _without_closing_marks(heading: str) -> str:
    bare = heading.rstrip("#")
    return bare.rstrip() if not bare or bare[-1].isspace() else heading


def read_markdown(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a Markdown file is."""
    text = decoded(read_whole(source, intake.report))
    yield whole_document(source, intake, markdown_parts(text, mdx=source.format.name == "mdx"))


_TAKEN: dict[str, Any] = {
    "title": "`title` of the front matter, else the first heading",
    "text": "the text without markup; code as it is",
    "fields": "front matter (YAML or TOML)",
}
FORMATS = (
    FileFormat("markdown", (".md", ".markdown", ".mkd", ".mdown", ".rmd", ".qmd"), read_markdown, **_TAKEN),
    FileFormat("mdx", (".mdx",), read_markdown, **_TAKEN),
)
