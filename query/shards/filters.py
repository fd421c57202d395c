"""Filters of a set whose shards are searched apart: their text, which every shard compiles for its documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lsr.encoders.lexical.phrase import Phrase, Signed
from lsr.indexer.storage.index import StoredIndex
from lsr.query.typed_query import Conditions


@dataclass(frozen=True)
class SetFilter:
    """The documents that a search of a set may find.

    where: filters by their text. conditions: of typed queries. All are to be met. count: asks the shards how many
    documents that leaves.
    """

    count: Callable[[SetFilter], int]
    where: tuple[str, ...] = ()
    conditions: tuple[Conditions, ...] = ()

    def __and__(self, other: SetFilter) -> SetFilter:
        """Return the documents that both filters allow."""
        return SetFilter(self.count, self.where + other.where, self.conditions + other.conditions)

    def check(self, index: StoredIndex) -> None:
        """Accept any generation: every shard compiles the filter for the one that it has open."""

    @property
    def n_allowed(self) -> int:
        """Number of allowed documents, counted by the shards."""
        return self.count(self)

    def as_json(self) -> dict[str, Any]:
        """Return the filter as a JSON value."""
        return {"where": list(self.where), "conditions": [_as_json(each) for each in self.conditions]}


def _as_json(conditions: Conditions) -> list[list[list[Any]]]:
    return [
        [[list(phrase.words), [list(signed) for signed in phrase.signed]] for phrase in phrases]
        for phrases in (conditions.required, conditions.excluded)
    ]


def conditions_of(value: Any) -> Conditions:
    """Return the conditions of a JSON value."""
    return Conditions(
        *(
            tuple(Phrase(tuple(words), tuple(Signed(*signed) for signed in signs)) for words, signs in phrases)
            for phrases in value
        )
    )


EVERYTHING: Mapping[str, Any] = {"where": [], "conditions": []}
