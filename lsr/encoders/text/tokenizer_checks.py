"""A `tokenizer.json` checked before the library reads it: a stranger's can end the process, or take all memory.

The library (`tokenizers`) trusts the file. Some values abort the process or make it panic, normalisers may double a
text in each of many steps, a pattern may backtrack for hours, and token ids may lie outside the model's table. All
limits here are several times what published tokenizers need.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lsr.encoders.text.charsmap import CharsmapError, longest_replacement
from lsr.encoders.text.patterns import PatternError, check_pattern
from lsr.errors import EncoderError
from lsr.io.folder import FileAt
from lsr.io.own_notes import is_noted, note

REVISION = 2
"""Raised whenever a check or a limit changes, so that files are checked again."""

MAX_BYTES = 64 << 20
MAX_VALUES = 1 << 22
"""Values of the file, counted by their commas: JSON takes up to a hundred bytes of memory for each."""

MAX_TOKENS = 1 << 21
MAX_ADDED_TOKENS = 1 << 16
MAX_TOKEN_CHARACTERS = 4096
MAX_WORD_CHARACTERS = 1000
"""Of a word that WordPiece takes apart, in time that grows with the square of it."""

MAX_STEPS = 64
"""Normalisers, pre-tokenizers, post-processors and decoders together."""

MAX_GROWTH = 64
"""Characters that all normalisers together may make of one."""

MAX_SPECIAL_TOKENS = 64
"""Tokens that a template puts around a text."""

MAX_LENGTH = 1 << 24
"""Tokens to which texts are cut or filled up."""

_SUBJECT = "checked-tokenizers"
_STAGES = ("normalizer", "pre_tokenizer", "post_processor", "decoder")


def check_tokenizer(text: str, place: Path | FileAt, *, n_rows: int | None = None) -> None:
    """Raise EncoderError, naming the fault and its limit, unless a `tokenizer.json` is safe to be read.

    text: of the file. n_rows: of the model's or the query table's weights, which token ids have to lie within.
    A file that passed is noted in the user's cache: parsing it takes more than half as long as the library does.
    """
    facts = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), str(n_rows), str(REVISION))
    if is_noted(_SUBJECT, *facts):
        return
    try:
        _Checks(_parsed(text), n_rows).run()
        note(_SUBJECT, *facts)
    except _FaultError as error:
        raise EncoderError(f"{place} is refused: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise EncoderError(f"{place} is not a tokenizer: {error!r:.200}") from error


def check_size(path: Path | FileAt) -> None:
    """Raise EncoderError for a file of a tokenizer that is larger than any should be, OSError if there is none."""
    size = path.stat().st_size if isinstance(path, Path) else path.folder.size_bytes(path.name)
    if size > MAX_BYTES:
        raise EncoderError(f"{path} is refused: it has {size:,} bytes, more than {MAX_BYTES:,}")


class _FaultError(Exception):
    """A fault of a tokenizer."""


def _require_at_most(value: float, most: float, what: str) -> None:
    if value > most:
        raise _FaultError(f"{what}: {value:,}, more than {most:,}")


def _parsed(text: str) -> Mapping[str, Any]:
    _require_at_most(text.count(",") + text.count("[") + text.count("{"), MAX_VALUES, "it has too many values")
    values = json.loads(text, object_pairs_hook=_without_doubles)
    if not isinstance(values, dict) or not isinstance(values.get("model"), dict):
        raise _FaultError("it has no model")
    return values


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose names are all different: which of two counts, two readers may see differently."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _FaultError("a name stands there twice in one object")
    return values


class _Checks:
    """The checks of one file. values: the whole of it."""

    def __init__(self, values: Mapping[str, Any], n_rows: int | None) -> None:
        self._values = values
        self._model: Mapping[str, Any] = values["model"]
        self._n_rows = MAX_TOKENS if n_rows is None else n_rows

    def run(self) -> None:
        """Raise _FaultError for the first fault."""
        self._check_vocabulary()
        self._check_added_tokens()
        self._check_model()
        self._check_lengths()
        steps = [step for stage in _STAGES for step in _steps(self._values.get(stage))]
        _require_at_most(len(steps), MAX_STEPS, "it has too many steps")
        for step in steps:
            if isinstance(pattern := (step.get("pattern") or {}), dict) and "Regex" in pattern:
                _check_pattern(pattern["Regex"])
        self._check_growth()
        self._check_templates()

    def _check_vocabulary(self) -> None:
        vocabulary = self._model.get("vocab", {})
        if isinstance(vocabulary, dict):
            tokens: Sequence[str] = list(vocabulary)
            self._check_ids(list(vocabulary.values()))
        else:
            tokens = [str(entry[0]) for entry in vocabulary]
            self._check_ids([len(tokens) - 1] if tokens else [])
        _require_at_most(max(map(len, tokens), default=0), MAX_TOKEN_CHARACTERS, "a token is too long, in characters")

    def _check_ids(self, ids: Sequence[Any]) -> None:
        if set(map(type, ids)) - {int}:
            raise _FaultError("a token's id is no whole number")
        if ids and min(ids) < 0:
            raise _FaultError(f"token id {min(ids)} is below 0")
        if ids and max(ids) >= self._n_rows:
            raise _FaultError(f"it has token ids up to {max(ids):,}, but the model knows only {self._n_rows:,} terms")

    def _check_added_tokens(self) -> None:
        added = self._values.get("added_tokens") or []
        _require_at_most(len(added), MAX_ADDED_TOKENS, "it has too many added tokens")
        self._check_ids([token["id"] for token in added])
        longest = max((len(token["content"]) for token in added), default=0)
        _require_at_most(longest, MAX_TOKEN_CHARACTERS, "an added token is too long, in characters")

    def _check_model(self) -> None:
        longest = self._model.get("max_input_chars_per_word")
        if longest is not None:
            _require_at_most(longest, MAX_WORD_CHARACTERS, "max_input_chars_per_word")
        prefix = self._model.get("continuing_subword_prefix")
        if "merges" in self._model and prefix:
            # The library cuts as many bytes off, whatever they are: the process aborts within a character.
            for merge in self._model["merges"]:
                right = merge.split(" ")[-1] if isinstance(merge, str) else merge[1]
                if not right.startswith(prefix):
                    raise _FaultError(f"merge {merge!r:.80} doesn't continue a word with {prefix!r:.20}")

    def _check_lengths(self) -> None:
        cut, filled = self._values.get("truncation") or {}, self._values.get("padding") or {}
        _require_at_most(max(cut.get("max_length", 0), cut.get("stride", 0)), MAX_LENGTH, "truncation's length")
        strategy = filled.get("strategy")
        fixed = strategy.get("Fixed", 0) if isinstance(strategy, dict) else 0
        _require_at_most(max(fixed, filled.get("pad_to_multiple_of") or 0), MAX_LENGTH, "padding's length")

    def _check_growth(self) -> None:
        growth = 1.0
        for step in _steps(self._values.get("normalizer")):
            growth *= _growth_of(step)
            _require_at_most(growth, MAX_GROWTH, "its normalisers make too many characters of one")

    def _check_templates(self) -> None:
        n_added = 0
        for step in _steps(self._values.get("post_processor")):
            self._check_ids([step[side][1] for side in ("sep", "cls") if side in step])
            special = step.get("special_tokens") or {}
            self._check_ids([i for token in special.values() for i in token["ids"]])
            for template in ("single", "pair"):
                pieces = step.get(template) or []
                texts = [piece["Sequence"]["id"] for piece in pieces if "Sequence" in piece]
                if len(texts) != len(set(texts)):
                    raise _FaultError("a template has a text twice")
                named = [piece["SpecialToken"]["id"] for piece in pieces if "SpecialToken" in piece]
                if unknown := set(named) - set(special):
                    raise _FaultError(f"a template has the special token {min(unknown)!r:.40}, which isn't given")
                n_added += sum(len(special[name]["ids"]) for name in named)
        _require_at_most(n_added, MAX_SPECIAL_TOKENS, "its templates add too many tokens")


def _steps(stage: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the steps of a stage, those within sequences too, in their order."""
    if isinstance(stage, dict):
        yield stage
        for value in stage.values():
            if isinstance(value, list):
                for inner in value:
                    if isinstance(inner, dict) and "type" in inner:
                        yield from _steps(inner)


def _check_pattern(pattern: str) -> None:
    try:
        check_pattern(pattern)
    except PatternError as error:
        raise _FaultError(f"the pattern {pattern!r:.60} may take forever: {error}") from error


def _growth_of(step: Mapping[str, Any]) -> float:
    """Return how many characters a normaliser may make of one, but for those of Unicode, which repeat nothing."""
    kind = step.get("type")
    if kind == "Prepend":
        _require_at_most(len(step["prepend"]), MAX_GROWTH, "a normaliser puts too many characters before a text")
    if kind == "Precompiled":
        _check_charsmap(base64.b64decode(step["precompiled_charsmap"] or "", validate=True))
    if kind != "Replace":
        return 1.0
    content, replaced = len(step["content"]), step["pattern"].get("String")
    if replaced is None:
        return float(max(1, content))
    return 1.0 + content if replaced == "" else max(1.0, content / len(replaced))


def _check_charsmap(charsmap: bytes) -> None:
    try:
        longest = longest_replacement(charsmap)
    except CharsmapError as error:
        raise _FaultError(f"a normaliser's table: {error}") from error
    # The best known table turns one character into 18 of up to 3 bytes; several of them aren't multiplied.
    _require_at_most(longest, MAX_GROWTH, "a normaliser makes too many bytes of a character")
