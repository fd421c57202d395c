"""AsciiDoc, one document a file without its markup."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

_HEADING = re.compile(r"={1,6}[ \t]+(\S.*)")
_ATTRIBUTE = re.compile(r":([\w-]+):(?:[ \t]+(.*))?")
_DELIMITER = re.compile(r"(-{4,}|={4,}|\*{4,}|_{4,}|\.{4,}|\+{4,}|/{4,}|`{3,}\w*|[|!,:]={3,}|--)[ \t]*")
_BLOCK_ATTRIBUTES = re.compile(r"\[[^\[\]]*\][ \t]*|\[\[[^\[\]]*\]\][ \t]*")
_BLOCK_TITLE = re.compile(r"\.([^\s.].*)")
_DIRECTIVE = re.compile(r"(?:include|ifdef|ifndef|ifeval|endif|toc)::.*")
_MACRO = re.compile(
    r"\b(?:link|xref|image|video|audio|mailto|kbd|btn|menu|footnote):{1,2}[^\s\[\]]{0,2000}\[([^\[\]]*)\]"
)
_URL = re.compile(r"\bhttps?://[^\s\[\]]{1,2000}\[([^\[\]]+)\]")
_REFERENCE = re.compile(r"<<([^<>,]*)(?:,([^<>]*))?>>")
_ANCHOR = re.compile(r"\[\[[^\[\]]*\]\]")
_EMPHASES = [
    re.compile(rf"(?<![\w{mark}]){mark}{{1,2}}(?=[^\s{mark}])([^{mark}\n]*[^\s{mark}]){mark}{{1,2}}(?![\w{mark}])")
    for mark in (r"\*", "_", "`", r"\#")
]
_CALLOUT = re.compile(r"(?:(?<![ \t])[ \t]++)?<[.\d]+>(?=[ \t]|$)")
_VERBATIM = ("----", "....", "```")
_COMMENT = "////"


def asciidoc_parts(source: str) -> Parts:
    """Return title, readable text and fields: the fields are the attributes before the text."""
    title = ""
    fields: dict[str, str] = {}
    out: list[str] = []
    open_block = ""
    in_head = True
    for line in source.split("\n"):
        plain = ""
        delimiter = _DELIMITER.fullmatch(line)
        if open_block:
            if delimiter and delimiter[1][:4] == open_block[:4]:
                open_block = ""
            elif open_block[:4] != _COMMENT:
                plain = _CALLOUT.sub("", line)
            out.append(plain)
            continue
        heading = _HEADING.fullmatch(line)
        attribute = _ATTRIBUTE.fullmatch(line)
        if delimiter:
            if delimiter[1].startswith((*_VERBATIM, _COMMENT)):
                open_block = delimiter[1]
            in_head = False
        elif heading:
            plain = without_markup(heading[1])
            if not title:
                title = plain
                plain = "" if not any(out) else plain
            else:
                in_head = False
        elif attribute and in_head:
            if attribute[2]:
                fields[attribute[1].lower()] = attribute[2].strip()
        elif line.startswith("//") or attribute or _DIRECTIVE.fullmatch(line) or _BLOCK_ATTRIBUTES.fullmatch(line):
            pass
        else:
            in_head = in_head and not line.strip()
            block_title = _BLOCK_TITLE.fullmatch(line)
            plain = without_markup(block_title[1] if block_title else line)
        out.append(plain)
    return Parts(title, "\n".join(out), fields)


def without_markup(line: str) -> str:
    """Return a line without the marks inside it."""
    if "[" in line:
        line = _ANCHOR.sub("", _URL.sub(r"\1", _MACRO.sub(r"\1", line)))
    if "<<" in line:
        line = _REFERENCE.sub(lambda found: (found[2] or found[1]).strip(), line)
    if line.startswith("|"):
        line = line.strip("|").replace("|", " ").strip()
    for emphasis in _EMPHASES:
        line = emphasis.sub(r"\1", line)
    return line.removesuffix(" +")


def read_asciidoc(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a file is."""
    yield whole_document(source, intake, asciidoc_parts(decoded(read_whole(source, intake.report))))


FORMATS = (
    FileFormat(
        "asciidoc",
        (".adoc", ".asciidoc"),
        read_asciidoc,
        title="the first heading",
        text="the text without markup, attributes and comments; code as it is",
        fields="attributes before the text (`:name: value`)",
    ),
)
