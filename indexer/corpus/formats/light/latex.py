"""LaTeX, one document a file without its commands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*")
_ARGUMENT = r"(?:\[[^\[\]\n]*\])*"
_DROPPED = re.compile(
    r"\\(?:label|ref|eqref|pageref|autoref|cref|Cref|[cC]ite\w*|parencite|textcite|nocite|includegraphics|input|include"
    r"|bibliography|bibliographystyle|usepackage|documentclass|pagestyle|thispagestyle|v?space|hspace|setlength"
    r"|newcommand|renewcommand|setcounter|addtocounter|hypersetup|graphicspath|geometry|begin|end)\*?"
    + _ARGUMENT
    + r"(?:\{[^{}\n]*\})?"
    + _ARGUMENT
)
_LINK = re.compile(r"\\href\{[^{}\n]*\}")
_ACCENT = re.compile(r"\\([\"'`^~=.])\{?([a-zA-Z])\}?|\\([cvuH])\{([a-zA-Z])\}")
_COMMAND = re.compile(r"\\[a-zA-Z@]+\*?(?:\[[^\[\]\n]*\])?[ \t]*")
_ESCAPED = re.compile(r"\\([#$%&_{}])")
_MARKS = {
    '"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b",
}  # fmt: skip
_HEAD = re.compile(r"\\(title|author|date)\b" + _ARGUMENT + r"[ \t]*\{")
_MAX_HEAD = 4096


def latex_parts(source: str) -> Parts:
    """Return title, readable text and fields: author and date are fields."""
    source = "\n".join(_COMMENT.sub(r"\1", line) for line in source.split("\n"))
    found = {}
    for head in _HEAD.finditer(source):
        if head[1] not in found:
            found[head[1]] = " ".join(without_commands(_braced(source, head.end())).split())
    start = source.find("\\begin{document}")
    first_line = 1
    if start >= 0:
        first_line += source.count("\n", 0, start)
        end = source.find("\\end{document}", start)
        source = source[start : end if end >= 0 else len(source)]
    title = found.pop("title", "")
    text = "\n".join(without_commands(line) for line in source.split("\n"))
    return Parts(title, text, {name: value for name, value in found.items() if value}, first_line)


def _braced(source: str, start: int) -> str:
    """Return the text from `start` to the brace that closes it, "" where that is far away."""
    depth = 1
    for at in range(start, min(len(source), start + _MAX_HEAD)):
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        if not depth:
            return source[start:at]
    return ""


def without_commands(line: str) -> str:
    """Return a line without its commands, their texts being kept; formulas stay as they are written."""
    if "\\" in line:
        import unicodedata

        line = _LINK.sub("", _DROPPED.sub("", line)).replace("\\\\", " ")
        line = _ACCENT.sub(lambda found: unicodedata.normalize("NFC", _accented(found)), line)
        line = _ESCAPED.sub(r"\1", _COMMAND.sub("", line).replace("{", "").replace("}", ""))
    else:
        line = line.replace("{", "").replace("}", "")
    return line.replace("~", " ").replace("``", '"').replace("''", '"')


def _accented(found: re.Match[str]) -> str:
    mark, letter = found[1] or found[3], found[2] or found[4]
    return letter + _MARKS[mark]


def read_latex(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a file is."""
    yield whole_document(source, intake, latex_parts(decoded(read_whole(source, intake.report))))


FORMATS = (
    FileFormat(
        "latex",
        (".tex", ".latex"),
        read_latex,
        title=r"`\title`",
        text="the body without commands and comments; formulas as they are written",
        fields=r"`\author`, `\date`",
    ),
)
