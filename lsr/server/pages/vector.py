"""A text's sparse vector as a page: the text with its terms marked, and a bar a term."""

from __future__ import annotations

from collections.abc import Iterator

from lsr.output.explained import headline
from lsr.query.explain.text_vector import TextVector
from lsr.server.pages.fragments import marked, page, percent, plain, shade

SHOWN_TERMS, SHOWN_CHARACTERS = 300, 20_000
TITLE_CHARACTERS = 60


def vector_page(vector: TextVector) -> str:
    """Return a separate page about one vector."""
    title = vector.text[:TITLE_CHARACTERS] + ("…" if len(vector.text) > TITLE_CHARACTERS else "")
    return page(title, _body(vector))


def _body(vector: TextVector) -> Iterator[str]:
    largest = max((term.weight for term in vector.terms), default=1.0)
    parts = {term.term: term.weight / largest for term in vector.terms}
    yield f'<p class="eyebrow">{plain(headline(vector))}</p>'
    shown = marked(vector.text, vector.spans, parts, end=min(SHOWN_CHARACTERS, len(vector.text)))
    more = " …" if len(vector.text) > SHOWN_CHARACTERS else ""
    short = len(vector.text) <= TITLE_CHARACTERS
    yield f"<h1 dir=auto>{shown}</h1>" if short else f'<p class="whole-text" dir=auto>{shown}{more}</p>'
    yield (
        '<p class="key"><span><i></i>stands in the text</span>'
        '<span><i class="other"></i>expanded to by the model</span></p>'
    )
    yield '<article class="hit vector"><table><tr><th>term<th>weight<th class=bar></tr>'
    for term in vector.terms[:SHOWN_TERMS]:
        word = f" <span>{plain(term.word)}</span>" if term.word else ""
        kind = "" if term.in_text else ' class="other"'
        part = parts[term.term]
        yield (
            f'<tr><td title="{plain(term.term)}">{plain(term.term)}{word}<td>{term.weight:.4g}'
            f'<td class=bar><b{kind} style="--part:{percent(part)};--shade:{shade(part)}"></b></tr>'
        )
    yield "</table>"
    if len(vector.terms) > SHOWN_TERMS:
        yield f'<p class="soft">… {len(vector.terms) - SHOWN_TERMS:,} more</p>'
    yield "</article><footer>Made by lsr.</footer>"
