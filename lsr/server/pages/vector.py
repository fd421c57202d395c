"""A text's sparse vector as a page to be saved: the text with its terms marked, and a bar for each term."""

from __future__ import annotations

from lsr.output.explained import headline
from lsr.query.explain.text_vector import TextVector
from lsr.server.pages.marks import marked, whole_words
from lsr.server.pages.rendering import render

SHOWN_TERMS, SHOWN_CHARACTERS = 300, 20_000
TITLE_CHARACTERS = 60


def vector_page(vector: TextVector) -> str:
    """Return a separate page about one vector."""
    points = {term.term: max(1, round(1000 * term.weight)) for term in vector.terms}
    marks = whole_words(vector.text, vector.spans, points)
    return render(
        "saved_vector.html",
        title=vector.text[:TITLE_CHARACTERS] + ("…" if len(vector.text) > TITLE_CHARACTERS else ""),
        headline=headline(vector),
        text=marked(vector.text, marks, end=min(SHOWN_CHARACTERS, len(vector.text))),
        is_short=len(vector.text) <= TITLE_CHARACTERS,
        is_cut=len(vector.text) > SHOWN_CHARACTERS,
        largest=max((term.weight for term in vector.terms), default=1.0),
        terms=vector.terms[:SHOWN_TERMS],
        n_more=max(0, len(vector.terms) - SHOWN_TERMS),
    )
