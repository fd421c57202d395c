"""XML, one document a file: the texts of its elements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.parsers import expat

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.formats.markup import declared_charset
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

_TAG = re.compile(r"<[^<>]*>")
_SPACE = re.compile(r"[ \t\n]+")


class _Texts:
    """The texts of a document, a line an element, and the first one called `title`."""

    def __init__(self) -> None:
        self.title = ""
        self._lines: list[str] = []
        self._line: list[str] = []
        self._in_title = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.end_line()
        self._in_title = name.rpartition(":")[2].lower() == "title" and not self.title

    def end(self, name: str) -> None:
        if self._in_title:
            self.title = _SPACE.sub(" ", "".join(self._line)).strip()
            self._in_title = False
        self.end_line()

    def data(self, text: str) -> None:
        self._line.append(text)

    def end_line(self) -> None:
        line = _SPACE.sub(" ", "".join(self._line)).strip()
        self._line.clear()
        if line:
            self._lines.append(line)

    def parts(self) -> Parts:
        self.end_line()
        return Parts(self.title, "\n".join(self._lines))


def xml_parts(source: str) -> Parts:
    """Return title and text of an XML document; of one that isn't well formed, the text between its tags.

    Entities that a document declares itself are left out: a few of them can stand for gigabytes.
    """
    texts = _Texts()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = texts.start, texts.end
    parser.CharacterDataHandler = texts.data
    parser.DefaultHandler = lambda _: None  # without one, entities would be expanded
    try:
        parser.Parse(re.sub(r"^\s*<\?xml[^<>]*\?>", "", source, count=1).encode("utf-8", "replace"), True)
    except (expat.ExpatError, ValueError):
        return Parts("", _TAG.sub(" ", source))
    return texts.parts()


def read_xml(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a file is."""
    data = read_whole(source, intake.report)
    yield whole_document(source, intake, xml_parts(decoded(data, declared=declared_charset(data))))


FORMATS = (
    FileFormat(
        "xml",
        (".xml", ".rss", ".atom", ".xliff", ".docbook", ".dbk", ".dita"),
        read_xml,
        title="the first element called `title`",
        text="the texts of all elements, a line each; no attributes, comments and entities",
    ),
)
