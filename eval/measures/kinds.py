"""Kinds of measures, by name: what ir_measures computes for each, and how that becomes its value.

A kind that needs more than ir_measures has a module beside this one, as `capped_recall` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lsr.eval.measures.capped_recall import capped_recall

Adjust = Callable[[float, int, int], float]
"""Turns what ir_measures computed for a query into the measure's value, given the cutoff and the number of relevant
documents."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A family of measures that differ in their cutoff.

    name: as tables and files call it. computed: the measure of ir_measures behind it. aliases: other spellings that
    are accepted, in lower case. adjust: how ir_measures' value becomes this one's (default: unchanged).
    """

    name: str
    computed: str
    aliases: tuple[str, ...] = ()
    adjust: Adjust | None = None


def by_spelling(kinds: tuple[Kind, ...]) -> Mapping[str, Kind]:
    """Return the kinds by every accepted spelling, in lower case."""
    return {spelling: kind for kind in kinds for spelling in (kind.name.lower(), *kind.aliases)}


KINDS: tuple[Kind, ...] = (
    Kind("nDCG", "nDCG"),
    Kind("Recall", "R", aliases=("r",)),
    Kind("R_cap", "P", adjust=capped_recall),
    Kind("MRR", "RR", aliases=("rr",)),
    Kind("MAP", "AP", aliases=("ap",)),
    Kind("P", "P"),
)
