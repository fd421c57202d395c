"""Hits as services answer them: title, snippet with marks, fields, and the whole text only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lsr.io.option_spec import OptionSpec
from lsr.output.hits import hit_object
from lsr.query.explain.snippet import Matcher, find_snippet
from lsr.types import Hit

SNIPPET, LONGEST_SNIPPET = 240, 2000
"""Characters of a snippet by default, and at most."""


def _described(**spec: Any) -> Mapping[str, OptionSpec]:
    return {"option": OptionSpec(**spec)}


@dataclass(frozen=True, slots=True, kw_only=True)
class HitView:
    """Options of how services show a hit."""

    snippet: int = field(default=SNIPPET, metadata=_described(
        kind="int", least=0, most=LONGEST_SNIPPET, metavar="N",
        help=f"characters of the snippet, 0 for none (default: {SNIPPET})",
    ))  # fmt: skip
    text: bool = field(default=False, metadata=_described(
        kind="bool", bare=True,
        help="give the whole text of each hit, too",
    ))  # fmt: skip


def viewed_hit(hit: Hit, words: Matcher, view: HitView) -> dict[str, Any]:
    """Return a hit as JSON values: what the view asks for of its text. words: those of the query."""
    shown = hit_object(hit)
    if not view.text:
        del shown["text"]
    if view.snippet:
        snippet = find_snippet(hit.text, words, view.snippet)
        before, after = "" if snippet.starts else "… ", "" if snippet.ends else " …"
        marks = [[start + len(before), end + len(before)] for start, end in snippet.spans]
        shown["snippet"] = {"text": f"{before}{snippet.text}{after}", "marks": marks}
    return shown
