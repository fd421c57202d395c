"""HTML: the visible text of a page, by the standard library's parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "object", "select", "datalist"})
_BLOCK_NAMES = (
    "address article aside blockquote body br caption center dd details dialog div dl dt fieldset figcaption figure"
    " footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol option p pre section summary"
    " table tbody tfoot thead title tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset({"td", "th"})
_SPACE = re.compile(r"[ \t\r\f\n]+")
_TAG_START = re.compile(r"<[a-zA-Z/!?]")
_CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)


def declared_charset(head: bytes) -> str | None:
    """Return the encoding that the first bytes of an HTML file declare, if they do."""
    found = _CHARSET.search(head[:2048])
    return found[1].decode("ascii", "replace") if found else None


def html_parts(source: str) -> tuple[str, str]:
    """Return the title and the visible text of a page: one line a block, nothing of scripts and styles.

    The title is that of <title>, or else the first <h1>. Line breaks inside <pre> are kept.
    """
    # No tag ends after the last ">": what is opened there goes, lest the parser seek its end in quadratic time.
    last = source.rfind(">") + 1
    unended = _TAG_START.search(source, last)
    page = _Page()
    page.feed(source[: unended.start()] if unended else source)
    page.close()
    return page.parts()


class _Page(HTMLParser):
    """The visible text of one page, collected while it is parsed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._found = {"title": "", "h1": ""}
        self._catching = ""  # "title" or "h1" while inside the first one
        self._caught: list[str] = []
        self._lines: list[str] = []
        self._line: list[str] = []
        self._unseen = ""  # the outermost open element that isn't shown, and how often it is open
        self._unseen_depth = 0
        self._pre_depth = 0

    def parts(self) -> tuple[str, str]:
        """Return title and text, once all was fed."""
        self._end_catch()
        self._end_line()
        return self._found["title"] or self._found["h1"], "\n".join(self._lines).strip("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unseen:
            self._unseen_depth += tag == self._unseen
            return
        if tag in _UNSEEN:
            self._unseen, self._unseen_depth = tag, 1
            return
        if tag in _BLOCKS:
            self._end_line()
            if "".join(self._caught).strip():  # a <title> or <h1> that was never closed
                self._end_catch()
        elif tag in _CELLS:
            self._line.append(" ")
        if tag == "pre":
            self._pre_depth += 1
        if not self._found.get(tag, "-") and not self._catching:
            self._catching = tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS and not self._unseen:
            self._end_line()

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            self._unseen_depth -= tag == self._unseen
            if not self._unseen_depth:
                self._unseen = ""
            return
        if tag == self._catching:
            self._end_catch()
        if tag in _BLOCKS:
            self._end_line()
        if tag == "pre":
            self._pre_depth = max(0, self._pre_depth - 1)

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if self._catching:
            self._caught.append(data)
        if self._catching != "title":
            self._line.append(data)

    def updatepos(self, i: int, j: int) -> int:
        """Keep no count of lines: nothing reads it, and it takes a tenth of the time."""
        return j

    # Browsers take a comment that is never closed to reach to the end of the page, and <![…]> to end at its >.
    # The library looks for the end of the first again and again, and stumbles over the second with AssertionError.

    def parse_comment(self, i: int, report: int = 1) -> int:
        """Skip a comment."""
        end = self.rawdata.find("-->", i + 2)
        return len(self.rawdata) if end < 0 else end + 3

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """Skip <![…]>."""
        return self.rawdata.index(">", i) + 1

    def _end_catch(self) -> None:
        if self._catching:
            self._found[self._catching] = _SPACE.sub(" ", "".join(self._caught)).strip()
        self._catching = ""
        self._caught.clear()

    def _end_line(self) -> None:
        line = "".join(self._line)
        self._line.clear()
        if self._pre_depth:
            self._lines.extend(part.rstrip() for part in line.strip("\n").split("\n"))
            return
        line = _SPACE.sub(" ", line).strip()
        if line:
            self._lines.append(line)


def read_html(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a page is."""
    data = read_whole(source, intake.report)
    yield whole_document(source, intake, Parts(*html_parts(decoded(data, declared=declared_charset(data)))))


FORMATS = (
    FileFormat(
        "html",
        (".html", ".htm", ".xhtml"),
        read_html,
        title="`<title>`, else the first `<h1>`",
        text="the visible text, a line a block; nothing of scripts and styles",
    ),
)
