"""Source code, one document a file: comments and docstrings first, since models read only the beginning."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsr.indexer.corpus.compression import uncompressed_name
from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.formats.languages import LANGUAGES, Language, comments_of, language_of
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

_MARKS = re.compile(
    r"^[ \t]*(?:/\*+!?|\*+/|\*(?= |$)|//+[!/]?|\#+[:!|]?|--+(?:\[\[)?|;+|%+|<!--|!+|'(?!'')|\(\*+|\{-"
    r"|[rRuU]?(?:\"\"\"|'''))[ \t]?"
)
_END_MARKS = re.compile(r"(?:(?<!\*)\*++[/)]|-->|-\}|\]\]|\|\#|\"\"\"|''')[ \t]*$")
_WORD = re.compile(r"\w")


def source_parts(source: str, language: Language, name: str) -> Parts:
    """Return title, text and fields of source code: the title is the file's name, `language` the field.

    The text has the comments without their marks, an empty line, and the code without its comments.
    """
    comments: list[str] = []
    code: list[str] = []
    at = 0
    for found in comments_of(language.comments).finditer(source):
        if not found.lastgroup:
            continue
        code.append(source[at : found.start()])
        at = found.end()
        code.append("\n" * found[0].count("\n"))
        comments += [line for line in map(_unmarked, found[0].split("\n")) if line is not None]
    code.append(source[at:])
    body = "\n".join(line for line in "".join(code).split("\n") if line.strip())
    return Parts(name, "\n".join(comments) + "\n\n" + body if comments else body, {"language": language.name})


def _unmarked(line: str) -> str | None:
    """Return a line of a comment without its marks, None for one without a word."""
    bare = _END_MARKS.sub("", _MARKS.sub("", line.rstrip())).rstrip()
    return bare if _WORD.search(bare) else None


def read_source(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a file is."""
    name = source.doc_id.rpartition("/")[2]
    language = language_of(uncompressed_name(name.lower())[0])
    yield whole_document(source, intake, source_parts(decoded(read_whole(source, intake.report)), language, name))


FORMATS = (
    FileFormat(
        "source",
        tuple(suffix for language in LANGUAGES for suffix in language.suffixes),
        read_source,
        title="the file's name",
        text="comments and docstrings, then the code without them",
        fields="`language`",
        file_names=tuple(name for language in LANGUAGES for name in language.file_names),
    ),
)
