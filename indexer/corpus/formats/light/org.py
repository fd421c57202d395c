"""Org mode, one document a file without its markup."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

_KEYWORD = re.compile(r"[ \t]*#\+(\w+):[ \t]*(.*)")
_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_(\w+).*", re.IGNORECASE)
_HEADING = re.compile(r"(\*+)[ \t]+(?:(?:TODO|DONE|NEXT|WAITING|CANCELLED)[ \t]+)?(?:\[#\w\][ \t]*)?(.*)")
_TAGS = re.compile(r"(?<![ \t])[ \t]++:[\w@#%:]+:[ \t]*$")
_DRAWER = re.compile(r"[ \t]*:[\w-]+:(?:[ \t].*)?")
_PLANNING = re.compile(r"[ \t]*(?:SCHEDULED|DEADLINE|CLOSED): .*")
_LINK = re.compile(r"\[\[([^\[\]]*)\](?:\[([^\[\]]*)\])?\]")
_EMPHASIS = re.compile(r"(?<![\w*/=~+])([*/=~+])(?=[^\s*/=~+])([^*/=~+\n]*[^\s*/=~+])\1(?![\w*/=~+])")
_AS_FIELDS = frozenset("author date email language filetags keywords description category subtitle".split())


def org_parts(source: str) -> Parts:
    """Return title, readable text and fields: the fields are keywords such as `#+AUTHOR:`."""
    title, heading = "", ""
    fields: dict[str, str | list[str]] = {}
    out: list[str] = []
    code = ""
    for line in source.split("\n"):
        plain = ""
        block = _BLOCK.fullmatch(line)
        keyword = _KEYWORD.fullmatch(line)
        if block:
            code = block[2].lower() if block[1].lower() == "begin" else ""
        elif code in ("src", "example"):
            plain = line
        elif keyword:
            name, value = keyword[1].lower(), keyword[2].strip()
            if name == "title":
                title = title or without_markup(value)
            elif name == "filetags":
                fields["tags"] = [tag for tag in value.replace(":", " ").split() if tag]
            elif name in _AS_FIELDS and value:
                fields[name] = value
        elif code != "comment" and not _is_hidden(line):
            found = _HEADING.fullmatch(line)
            plain = without_markup(_TAGS.sub("", found[2]) if found else _without_bars(line))
            if found and not heading:
                heading = plain
                if not title and not any(out):
                    plain = ""
        out.append(plain)
    return Parts(title or heading, "\n".join(out), fields)


def _is_hidden(line: str) -> bool:
    bare = line.strip()
    comment = bare == "#" or bare.startswith("# ")
    return comment or bool(_PLANNING.fullmatch(line)) or bool(_DRAWER.fullmatch(line))


def _without_bars(line: str) -> str:
    bare = line.strip()
    if not bare.startswith("|"):
        return line
    return "" if bare.startswith("|-") else bare.strip("|").replace("|", " ").strip()


def without_markup(line: str) -> str:
    """Return a line without the marks inside it."""
    if "[[" in line:
        line = _LINK.sub(lambda found: found[2] or found[1], line)
    return _EMPHASIS.sub(r"\2", line)


def read_org(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a file is."""
    yield whole_document(source, intake, org_parts(decoded(read_whole(source, intake.report))))


FORMATS = (
    FileFormat(
        "org",
        (".org",),
        read_org,
        title="`#+TITLE:`, else the first heading",
        text="the text without markup, drawers and comments; code as it is",
        fields="`#+AUTHOR:`, `#+DATE:` and the like; `#+FILETAGS:` as `tags`",
    ),
)
