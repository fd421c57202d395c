"""Plain text and Markdown, one document a file; and the cleaning that all texts go through."""

from __future__ import annotations

import re

# What begins with a mere rule (---) is no front matter: its first line must be an entry or a remark.
_FRONT_MATTER = re.compile(
    r"""(---|\+\+\+)[ \t]*\n(?=\s*(?:[\w."'-]+[ \t]*[:=]|\#|---|\+\+\+))(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)""",
    re.DOTALL | re.MULTILINE,
)
_TITLE_ENTRY = re.compile(r"^title[ \t]*[:=](.*)$", re.MULTILINE | re.IGNORECASE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}#{1,6}(?=[ \t]|\Z)")
_SETEXT = re.compile(r" {0,3}(?:=+|-+)[ \t]*")
_NOT_A_PARAGRAPH = re.compile(r" {4}|\t| {0,3}(?:[>|]|[-*+][ \t]|\d+[.)][ \t])")


def clean(text: str) -> str:
    """Return a text that any UTF-8 writer takes: NUL and lone surrogates become U+FFFD; pairs are joined.

    An unharmed text is returned as the very same object.
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def markdown_parts(source: str) -> tuple[str, str]:
    """Return the title and the readable text of a Markdown file.

    The title is that of the front matter, or else the first heading. Front matter is taken out of the text, and so
    is a heading at its very beginning that became the title; all else stays as it was written, code included.
    """
    front = _FRONT_MATTER.match(source)
    body = (source[front.end() :] if front else source).strip("\n")
    entry = _TITLE_ENTRY.search(front[2]) if front else None
    heading, first_line, after = _first_heading(body)
    title = (_unquoted(entry[1].strip()) if entry else "") or heading
    if heading and heading == title and first_line == 0:
        body = "\n".join(body.split("\n")[after:]).strip("\n")
    return title, body


def _first_heading(body: str) -> tuple[str, int, int]:
    """Return the first heading, the line it begins in and the line after it; an empty one where there is none."""
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


def _unquoted(value: str) -> str:
    return value[1:-1].strip() if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
