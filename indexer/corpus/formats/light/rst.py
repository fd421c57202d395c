"""reStructuredText, as docutils and Sphinx have it, one document a file without its markup."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}[ \t]*")
_DIRECTIVE = re.compile(r"[ \t]*\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?([\w.:+-]+)::[ \t]*(.*)")
_EXPLICIT = re.compile(r"[ \t]*\.\.(?:[ \t]+(.*))?")
_TARGET = re.compile(r"_[^\n]*:.*|__ .*")
_NOTE = re.compile(r"\[[#*\w.-]*\] ?")
_FIELD = re.compile(r"[ \t]*:([^:\n]+):(?:[ \t]+(.*))?")
_TABLE_RULE = re.compile(r"[ \t]*(?:\+[-=+]+\+|=+(?:[ \t]+=+)+)[ \t]*")

_LITERAL = re.compile(r"``([^`]+)``")
# Names without a text behind them match as well, and stay: looking for roles in each of them takes their square.
_ROLE = re.compile(r"(?::[\w.+-]+)++(?::`([^`]*)`)?")
_LINKED = re.compile(r"`([^`]*)`__?|`([^`]+)`")
_TO_TARGET = re.compile(r"([^<>]*[^<>\s])\s*<[^<>]*>")
_STRONG = re.compile(r"(?<![\w*\\])(\*{1,2})(?=[^\s*])([^*\n]*[^\s*\\])\1(?!\w)")
_REFERENCE = re.compile(r"(?<=[^\W_])__?(?=[\s.,;:!?)\]]|$)")
_SUBSTITUTION = re.compile(r"(?<!\w)\|([^|\s][^|\n]*)\|_{0,2}(?!\w)")
_ESCAPED = re.compile(r"\\([^\w\s])")

_WITHOUT_ARGUMENT = frozenset(
    "code code-block sourcecode highlight highlightlang contents include literalinclude default-role role math only"
    " ifconfig image figure class cssclass rst-class currentmodule py:currentmodule testsetup testcode doctest".split()
)
_WITHOUT_BODY = frozenset("toctree raw image include literalinclude highlight contents autosummary".split())


def rst_parts(source: str) -> Parts:
    """Return title, readable text and fields: the fields are those of a list at the beginning of the file."""
    reading = _Reading(source.split("\n"))
    reading.run()
    return Parts(reading.title, "\n".join(reading.out), reading.fields)


class _Reading:
    """A reading of the lines of a file; each gives a line of text, which may be empty."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self.out: list[str] = []
        self.title = ""
        self.fields: dict[str, str] = {}
        self._hidden_below = -1  # indentation of the comment or directive whose body isn't shown
        self._in_options = False
        self._in_head = True  # where a field list is one of the whole document

    def run(self) -> None:
        """Fill `out`, `title` and `fields`."""
        for number, line in enumerate(self._lines):
            self.out.append(self._plain(number, line))

    def _plain(self, number: int, line: str) -> str:
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if self._hidden_below >= 0:
            if not bare or indent > self._hidden_below:
                return ""
            self._hidden_below = -1
        if not bare:
            self._in_options = False
            return ""
        field = _FIELD.fullmatch(line)
        if self._in_options and field and indent:
            return ""
        self._in_options = False
        if _ADORNMENT.fullmatch(line) or _TABLE_RULE.fullmatch(line):
            return ""
        if bare.startswith(".."):
            explicit = self._explicit(line, indent)
            if explicit is not None:
                return explicit
        if self._is_title(number):
            heading = without_markup(bare)
            if not self.title:
                self.title = heading
                return "" if not any(self.out) else heading
            self._in_head = False
            return heading
        if self._in_head and field and not indent:
            if (field[2] or "").strip():
                self.fields[field[1].strip().lower()] = without_markup(field[2].strip())
            return ""
        self._in_head = False
        return without_markup(_without_bars(line))

    def _explicit(self, line: str, indent: int) -> str | None:
        """Return the text of a line that begins with `..`; None for one that only looks so."""
        directive = _DIRECTIVE.fullmatch(line)
        if directive:
            name = directive[1].lower()
            self._in_options = True
            if name in _WITHOUT_BODY:
                self._hidden_below = indent
            return "" if name in _WITHOUT_ARGUMENT | _WITHOUT_BODY else without_markup(directive[2])
        explicit = _EXPLICIT.fullmatch(line)
        if explicit is None:
            return None
        content = explicit[1] or ""
        note = _NOTE.match(content)
        if note:
            return without_markup(content[note.end() :])
        if not _TARGET.fullmatch(content):  # a comment, with all that is indented below
            self._hidden_below = indent
        return ""

    def _is_title(self, number: int) -> bool:
        line = self._lines[number]
        below = self._lines[number + 1] if number + 1 < len(self._lines) else ""
        return (not line[0].isspace() and self._adorns(below, line)) or self._is_overlined(number)

    def _is_overlined(self, number: int) -> bool:
        below = self._lines[number + 1] if number + 1 < len(self._lines) else ""
        above = self._lines[number - 1] if number else ""
        return above == below and self._adorns(below, self._lines[number].strip())

    @staticmethod
    def _adorns(line: str, title: str) -> bool:
        return bool(_ADORNMENT.fullmatch(line)) and (len(line.rstrip()) >= len(title.rstrip()) or len(line.strip()) > 3)


def _without_bars(line: str) -> str:
    """Return a line of a grid table or line block without its bars."""
    bare = line.strip()
    if bare.startswith("|") and (bare.endswith("|") or bare.startswith("| ")):
        return bare.strip("|").replace("|", " ").strip()
    return line


def without_markup(line: str) -> str:
    """Return a line without the marks inside it."""
    if line.endswith("::"):
        line = "" if line.strip() == "::" else line[:-1]
    if line.isalnum():
        return line
    pieces, at = [], 0
    for literal in _LITERAL.finditer(line):
        pieces += [_unmarked(line[at : literal.start()]), literal[1]]
        at = literal.end()
    return "".join(pieces) + _unmarked(line[at:])


def _unmarked(text: str) -> str:
    if "`" in text:
        text = _LINKED.sub(lambda found: _shown(found[1] or found[2] or ""), _ROLE.sub(_role_text, text))
    if "*" in text:
        text = _STRONG.sub(r"\2", text)
    if "|" in text:
        text = _SUBSTITUTION.sub(r"\1", text)
    if "_" in text:
        text = _REFERENCE.sub("", text)
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _role_text(found: re.Match[str]) -> str:
    return found[0] if found[1] is None else _shown(found[1]).lstrip("~!")


def _shown(text: str) -> str:
    target = _TO_TARGET.fullmatch(text)
    return target[1] if target else text


def read_rst(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a file is."""
    yield whole_document(source, intake, rst_parts(decoded(read_whole(source, intake.report))))


FORMATS = (
    FileFormat(
        "rst",
        (".rst", ".rest"),
        read_rst,
        title="the first section's title",
        text="the text without markup, directives' names and comments; code as it is",
        fields="the field list before the text (`:Author: …`)",
    ),
)
