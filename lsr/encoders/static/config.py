"""Configuration of a static encoder, validated when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from lsr.encoders.config import REPEATS, Pruning, WordsConfig
from lsr.errors import EncoderError, UsageError

FAMILY = "static"


@dataclass(frozen=True, slots=True)
class StaticConfig:
    """Configuration of a static encoder.

    scale: weight of a stored 1. max_length: tokens of a text that are read. pruning: of a document's weights.
    repeats: as `TowerConfig` has it. query_repeats, words, rarity: as `EncoderConfig` has them.
    """

    scale: float
    max_length: int = 256
    pruning: Pruning = field(default_factory=Pruning)
    repeats: float = 0.0
    query_repeats: str = "log"
    words: WordsConfig | None = None
    rarity: float = 0.0

    def __post_init__(self) -> None:
        """Raise UsageError for values out of their ranges."""
        if self.query_repeats not in REPEATS:
            raise UsageError(f"encoder: query_repeats is {self.query_repeats!r}, but has to be one of {REPEATS}")
        if not 0 < self.scale < float("inf"):
            raise UsageError(f"encoder: scale is {self.scale}, but has to be above 0")
        if type(self.max_length) is not int or self.max_length < 1:
            raise UsageError(f"encoder: max_length is {self.max_length}, but has to be 1 or more")
        for name, value in (("repeats", self.repeats), ("rarity", self.rarity)):
            if not 0 <= value < float("inf"):
                raise UsageError(f"encoder: {name} is {value}, but has to be 0 or more")

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that decide the vectors, for a description, in the form of other models'."""
        values = asdict(self)
        document = {name: values[name] for name in ("scale", "max_length", "pruning", "repeats")}
        query = {"prompt": "", "max_length": None}
        return {
            "document": document,
            "query": query,
            "query_repeats": self.query_repeats,
            "rarity": self.rarity,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the config as JSON values."""
        return asdict(self) | {"words": None if self.words is None else self.words.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StaticConfig:
        """Read what `to_json` wrote. Raises EncoderError for what this program doesn't know."""
        unknown = set(values) - {one.name for one in fields(cls)}
        if unknown:
            raise EncoderError(f"encoder config: {', '.join(sorted(unknown))} unknown: made by a newer program?")
        known = dict(values)
        try:
            known["pruning"] = Pruning(**known.get("pruning") or {})
            if known.get("words") is not None:
                known["words"] = WordsConfig(**known["words"])
            return cls(**known)
        except TypeError as error:
            raise EncoderError(f"encoder config: {error}") from error
