"""Output of hits: for people on a terminal, and as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lsr.io.printable import clean, json_line
from lsr.output.terminal import (
    BOLD,
    DIM,
    MATCH,
    STALE,
    columns,
    fitting,
    lines_of,
    marked,
    say_styled,
    shortened,
    style,
    text_width,
)
from lsr.query.explain.snippet import Matcher, find_snippet, fold
from lsr.types import Hit, LegScore, MissingShard

INDENT = 5
SNIPPET_LINES = 2
HEADING_CHARACTERS = 80


def hit_json(hit: Hit, approximate: Mapping[str, Any] | None = None, missing: Sequence[MissingShard] = ()) -> str:
    """Return a hit as `--json` prints it, in one line.

    approximate: what to say of a search that wasn't exact. missing: shards that a partial answer lacks.
    """
    shown = hit_object(hit) | ({} if approximate is None else {"approximate": approximate})
    return json_line(shown | ({"missing": [shard.name for shard in missing]} if missing else {}))


def hit_object(hit: Hit) -> dict[str, Any]:
    """Return a hit as JSON values."""
    shown: dict[str, Any] = {} if hit.query_id is None else {"query_id": hit.query_id}
    shown |= {"rank": hit.rank, "doc_id": hit.doc_id, "score": hit.score, "title": hit.title, "text": hit.text}
    shown["fields"] = dict(hit.fields)
    if hit.passage is not None:
        shown["passage"] = {"start": hit.passage[0], "end": hit.passage[1]}
    if hit.legs is not None:
        shown["legs"] = {leg.leg: {"score": leg.score, "rank": leg.rank} for leg in hit.legs}
    if hit.stale is not None:
        shown["stale"] = hit.stale
    places = {"path": hit.path, "line": hit.line, "page": hit.page, "cell": hit.cell}
    shown |= {name: value for name, value in places.items() if value is not None}
    if hit.terms is not None:
        shown["terms"] = [asdict(term) for term in hit.terms]
    return shown


def print_hits(hits: Iterable[Hit], words: Matcher) -> None:
    """Print of each hit its rank, title, score, doc_id, and the stretch of text that says most about the query."""
    width = columns()
    for hit in hits:
        say_styled(*hit_lines(hit, words, width), "")


def hit_lines(hit: Hit, words: Matcher, width: int) -> list[str]:
    """Return the styled lines of a hit."""
    heading, text = (fold(hit.title), hit.text) if hit.title.strip() else _headed(hit)
    score = f"{hit.score:.3f}"
    heading = shortened(clean(heading), max(8, width - INDENT - len(score) - 2))
    gap = " " * max(2, width - INDENT - text_width(heading) - len(score))
    matches = [(start, end) for start, end, _ in words.matches(heading)]
    shown = marked(heading, matches, 0, len(heading), mark=MATCH, base=BOLD)
    lines = [f"{hit.rank:>{INDENT - 2}}  {shown}{gap}{score}"]
    room = width - INDENT
    where = [] if hit.path is None else [place_of(hit)]
    said = heading == hit.doc_id or (hit.path is not None and hit.path.endswith(hit.doc_id))
    named = [] if said else [hit.doc_id]
    if named or where:
        lines.append(" " * INDENT + style(shortened(clean(" · ".join([*named, *where])), room), DIM))
    if hit.legs is not None:
        lines.append(" " * INDENT + style(shortened(legs_line(hit.legs), room), DIM))
    if hit.stale is not None:
        lines.append(" " * INDENT + style(shortened(stale_line(hit.stale), room), STALE))
    return lines + [" " * INDENT + line for line in _snippet_lines(text, words, room)]


def place_of(hit: Hit) -> str:
    """Return where a hit stands, as terminals and editors open it: `notes/plan.md:120`; its doc_id without a file."""
    if hit.path is None:
        return hit.doc_id
    path = os.path.relpath(hit.path)
    path = hit.path if path.startswith("..") else path
    if hit.line is not None:
        return f"{path}:{hit.line}"
    return path + "".join(f", {name} {n}" for name, n in (("page", hit.page), ("cell", hit.cell)) if n is not None)


def stale_line(stale: str) -> str:
    """Say that a hit's file is another now, and the command that brings the index up to date."""
    return f"its file has {stale} since it was indexed: lsr sync"


def legs_line(legs: Sequence[LegScore]) -> str:
    """Say what each leg of a hybrid search gave a hit."""
    said = (
        f"{leg.leg}: not found" if leg.score is None else f"{leg.leg}: {leg.score:.3f}, rank {leg.rank}" for leg in legs
    )
    return " · ".join(said)


def _headed(hit: Hit) -> tuple[str, str]:
    """Return a heading for a text without a title, its first words, and the rest of it."""
    folded = fold(hit.text)
    if not folded:
        return hit.doc_id, ""
    if len(folded) <= HEADING_CHARACTERS:
        return folded, ""
    first_line = fold(hit.text.lstrip().partition("\n")[0])
    if len(first_line) <= HEADING_CHARACTERS:
        return first_line, folded[len(first_line) :]
    cut = folded.rfind(" ", 0, HEADING_CHARACTERS)
    cut = cut if cut > 0 else HEADING_CHARACTERS
    return folded[:cut] + " …", folded[cut:]


def _snippet_lines(text: str, words: Matcher, room: int) -> list[str]:
    """Return the styled lines of a snippet."""
    snippet = find_snippet(text, words, SNIPPET_LINES * room - 2)
    before = "" if snippet.starts else "… "
    whole = clean(before + snippet.text)
    spans = [(start + len(before), end + len(before)) for start, end in snippet.spans]
    lines = list(lines_of(whole, room))
    ends = snippet.ends and len(lines) <= SNIPPET_LINES
    lines = lines[:SNIPPET_LINES]
    shown = [marked(whole, spans, begin, end, mark=MATCH) for begin, end in lines]
    if shown and not ends:
        begin, end = lines[-1]
        shown[-1] = marked(whole, spans, begin, _room_for_ellipsis(whole, begin, end, room), mark=MATCH) + " …"
    return shown


def _room_for_ellipsis(text: str, begin: int, end: int, room: int) -> int:
    """Return where to end the line text[begin:end] so that an ellipsis fits behind it."""
    kept = fitting(text[begin:end], room - 2)
    if kept < end - begin:
        kept = max(text[begin:end].rfind(" ", 0, kept + 1), 0) or kept
    return begin + len(text[begin : begin + kept].rstrip())
