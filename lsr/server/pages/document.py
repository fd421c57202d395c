"""The page of a document: its whole text, with the best passage and the words of the query marked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from lsr.api.documents import documents_by_id
from lsr.errors import LsrError
from lsr.query.explain.explain import spans_of
from lsr.query.searcher import Searcher
from lsr.server.pages.address import Address
from lsr.server.pages.index_facts import index_facts
from lsr.server.pages.marks import marked, stretch, whole_words
from lsr.server.pages.readable import readable
from lsr.server.pages.rendering import render
from lsr.server.pages.views import SNIPPET, chips_of
from lsr.server.pages.words import plain_query, query_text
from lsr.types import Document

PART = 200_000
"""Characters of a document that one page shows."""
NEAR = 200
"""Characters by which a passage is extended to the beginning and end of a line."""
MOST_CHIPS = 40
_PASSAGE = re.compile(r"(\d{1,12})-(\d{1,12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Start and end of a passage in a text."""

    start: int
    end: int


def read_passage(text: str) -> Place | None:
    """Return the passage that an address names as "120-560"; None where it names none that can be."""
    found = _PASSAGE.fullmatch(text)
    if found is None or int(found[1]) >= int(found[2]):
        return None
    return Place(int(found[1]), int(found[2]))


def document_page(
    searcher: Searcher, doc_id: str, address: Address, *, passage: Place | None = None, part: int = 0, name: str = ""
) -> str | None:
    """Return the page of a document; None where the index has no such document.

    address: of the search that led here. passage: to be marked; by default, the part of the text that says most about
    the query. part: which part of a long text, from 1; by default, the one with the passage.
    """
    (document,) = documents_by_id(searcher.index, [doc_id])
    if document is None:
        return None
    text, passage = _readable(document, passage)
    n_parts = max(1, -(-len(text) // PART))
    if part < 1:
        part = 1 if passage is None else passage.start // PART + 1
    part = min(part, n_parts)
    shown = text[(part - 1) * PART : part * PART]
    words = plain_query(address.query)
    query = query_text(searcher, words)
    points = query.marked_terms(query_points(searcher, words))
    finder = searcher.term_finder
    spans = list(spans_of(finder.find_some(shown, points), points)) if points else []
    place = _in_part(passage, (part - 1) * PART, len(shown))
    if place is None and spans and n_parts == 1:
        place = _whole_lines(shown, Place(*stretch(shown, spans, points, SNIPPET)))
    heading = document.title.strip() or doc_id
    title_spans = spans_of(finder.find_some(heading, points), points) if points and heading != doc_id else ()
    is_block = place is not None and _is_lines(shown, place)
    if place is not None and is_block and shown[place.end : place.end + 1] == "\n":
        place = Place(place.start, place.end + 1)  # a line break after a block would be an empty line
    before, middle, after = _marked(shown, whole_words(shown, spans, points, pieces=query.pieces), place)
    return render(
        "document.html",
        base=address.base,
        address=address,
        name=name,
        facts=index_facts(searcher.index),
        heading=heading,
        title=marked(heading, whole_words(heading, title_spans, points, pieces=query.pieces)),
        doc_id_shown="" if heading == doc_id else doc_id,
        chips=chips_of(document.fields, most=MOST_CHIPS),
        has_text=bool(text.strip()),
        before=before,
        passage=middle,
        is_block=is_block,
        after=after,
        part=part,
        n_parts=n_parts,
        previous=_part_link(address, doc_id, part - 1) if part > 1 else "",
        next=_part_link(address, doc_id, part + 1) if part < n_parts else "",
    )


def query_points(searcher: Searcher, query: str) -> dict[str, int]:
    """Return the weights of a query's terms in thousandths, by which they are marked; none where it can't be encoded.

    An index of ready vectors has no encoder for queries; its documents are shown all the same.
    """
    if not query.strip():
        return {}
    try:
        term_ids, weights = searcher.encode([query]).row(0)
    except LsrError:
        return {}
    vocabulary = searcher.index.vocabulary
    pairs = zip(term_ids.tolist(), weights.tolist(), strict=True)
    return {vocabulary.term(term_id): max(1, round(1000 * weight)) for term_id, weight in pairs}


def _readable(document: Document, passage: Place | None) -> tuple[str, Place | None]:
    """Return a document's text without markup, and the passage's place in it, to the line."""
    shown = readable(document.text, document.title)
    if shown.text is document.text or passage is None:
        return shown.text, passage
    first = document.text.count("\n", 0, passage.start) + shown.shift
    last = document.text.count("\n", 0, passage.end) + shown.shift
    starts = [0, *(match.end() for match in re.finditer("\n", shown.text)), len(shown.text)]
    start, end = starts[min(max(first, 0), len(starts) - 2)], starts[min(max(last, 0) + 1, len(starts) - 1)]
    return shown.text, Place(start, end) if start < end else None


def _whole_lines(text: str, place: Place) -> Place:
    """Return a passage that begins and ends with lines, where these begin and end near it."""
    start, end = text.rfind("\n", 0, place.start) + 1, text.find("\n", place.end)
    end = len(text) if end < 0 else end
    return Place(start if place.start - start <= NEAR else place.start, end if end - place.end <= NEAR else place.end)


def _is_lines(text: str, place: Place) -> bool:
    """Tell whether a passage consists of whole lines."""
    return text[place.start - 1 : place.start] in ("", "\n") and text[place.end : place.end + 1] in ("", "\n")


def _in_part(passage: Place | None, begin: int, length: int) -> Place | None:
    if passage is None:
        return None
    start, end = max(0, passage.start - begin), min(length, passage.end - begin)
    return Place(start, end) if start < end else None


def _marked(text: str, marks: Any, place: Place | None) -> tuple[Any, Any, Any]:
    """Return the text before the passage, the passage and the text after it, marked."""
    if place is None:
        return marked(text, marks), "", ""
    before = [mark for mark in marks if mark.end <= place.start]
    inside = [mark for mark in marks if mark.start >= place.start and mark.end <= place.end]
    after = [mark for mark in marks if mark.start >= place.end]
    return (
        marked(text, before, end=place.start),
        marked(text, inside, begin=place.start, end=place.end),
        marked(text, after, begin=place.end),
    )


def _part_link(address: Address, doc_id: str, part: int) -> str:
    fields = {"id": doc_id, "part": str(part)} | ({"q": address.query} if address.query else {})
    return f"{address.base}document?{urlencode(fields, errors='replace')}"
