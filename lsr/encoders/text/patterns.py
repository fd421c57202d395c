"""Regular expressions of a tokenizer, checked before they are compiled: none may take more than quadratic time.

Backtracking explodes where a repeated group can match the same text in several ways, and where several unbounded
repetitions stand before something that can fail. The patterns that published tokenizers have do neither, so any that
might is refused; Davis et al., "The Impact of Regular Expression Denial of Service in Practice" (ESEC/FSE 2018),
section 2, lists the forms.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PATTERN_CHARACTERS = 2000
MAX_REPETITIONS = 1000
"""Of a bounded repetition such as `{1,3}`."""

FEW = 16
"""Repetitions up to which a bounded one is no matter: `{1,3}` multiplies the work by 3 at most."""

_BOUNDS = re.compile(r"\{(\d*)(,?)(\d*)\}")
_REFUSED_ESCAPES = frozenset("123456789kgK")
_REFUSED_GROUPS = ("(?~", "(?(", "(*")


class PatternError(Exception):
    """A pattern that isn't accepted. Its message begins with "it" or what is wrong."""


@dataclass(slots=True)
class _Group:
    """An open group. start: unbounded repetitions before it. most: of any alternative so far, at its end.

    varies: whether it holds a repetition or an alternative, so that repeating it could match a text in several ways.
    backtracks: whether something in it can fail behind two unbounded repetitions. copies: of its most repeated atom.
    """

    start: int
    most: int = 0
    varies: bool = False
    backtracks: bool = False
    copies: int = 1


@dataclass(frozen=True, slots=True)
class _Bounds:
    least: int
    most: float

    @property
    def is_unbounded(self) -> bool:
        return self.most > FEW


def check_pattern(pattern: str) -> None:
    """Raise PatternError for a pattern of the Oniguruma library that might take more than quadratic time."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise PatternError(f"it has {len(pattern):,} characters, more than {MAX_PATTERN_CHARACTERS:,}")
    _Scan(pattern).run()


class _Scan:
    """One reading of a pattern: atoms, their repetitions, and the groups that are open."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._before = 0  # unbounded repetitions before this place, in this alternative
        self._groups = [_Group(0)]

    def run(self) -> None:
        while self._at < len(self._pattern):
            character = self._pattern[self._at]
            if character == "(":
                self._open()
            elif character == ")":
                self._close()
            elif character == "|":
                self._next_alternative()
            else:
                self._skip_atom(character)
                self._repeat(_Group(self._before, backtracks=self._before > 1))
        if len(self._groups) > 1:
            raise PatternError("it has a group that isn't closed")
        if self._groups[0].backtracks:
            raise PatternError("two unbounded repetitions stand before something that can fail")

    def _open(self) -> None:
        rest = self._pattern[self._at : self._at + 3]
        if rest.startswith(_REFUSED_GROUPS):
            raise PatternError(f"it has {rest!r}, which isn't supported")
        head = re.compile(r"\((\?(<[=!]|<\w+>|[a-zA-Z-]*:|[=!>]|[a-zA-Z-]+(?=\))))?").match(self._pattern, self._at)
        assert head is not None
        self._at = head.end()
        self._groups.append(_Group(self._before))

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise PatternError("it closes a group that isn't open")
        group = self._groups.pop()
        self._before = max(group.most, self._before)
        self._at += 1
        self._repeat(group)

    def _next_alternative(self) -> None:
        group = self._groups[-1]
        group.most, group.varies = max(group.most, self._before), True
        self._before = group.start
        self._at += 1

    def _skip_atom(self, character: str) -> None:
        if character == "\\":
            self._skip_escape()
        elif character == "[":
            self._skip_class()
        elif character in "*+?" or (character == "{" and _BOUNDS.match(self._pattern, self._at)):
            raise PatternError(f"it repeats a repetition, or nothing, at character {self._at}")
        else:
            self._at += 1

    def _skip_escape(self) -> None:
        escaped = self._pattern[self._at + 1 : self._at + 2]
        if escaped in _REFUSED_ESCAPES:
            raise PatternError(f"it has '\\{escaped}', a reference to a group, which isn't supported")
        self._at += 2
        if escaped in ("p", "P", "x", "u") and self._pattern[self._at : self._at + 1] == "{":
            end = self._pattern.find("}", self._at)
            self._at = len(self._pattern) if end < 0 else end + 1

    def _skip_class(self) -> None:
        depth = 0
        while self._at < len(self._pattern):
            character = self._pattern[self._at]
            self._at += 2 if character == "\\" else 1
            depth += (character == "[") - (character == "]")
            if depth == 0:
                return
        raise PatternError("it has a class of characters that isn't closed")

    def _repeat(self, atom: _Group) -> None:
        """Read the repetition behind an atom, which is part of the group that is open now."""
        bounds, group = self._read_bounds(), self._groups[-1]
        if bounds.most > 1 and atom.varies:
            raise PatternError("it repeats a group that holds a repetition or an alternative")
        copies = atom.copies * max(1, bounds.least, int(bounds.most) if bounds.most < float("inf") else 0)
        if copies > MAX_REPETITIONS:
            raise PatternError(f"it repeats something more than {MAX_REPETITIONS:,} times")
        group.copies = max(group.copies, copies)
        group.varies |= atom.varies or bounds.least != bounds.most
        group.backtracks |= bounds.least > 0 and atom.backtracks
        self._before += bounds.is_unbounded

    def _read_bounds(self) -> _Bounds:
        simple = {"*": _Bounds(0, float("inf")), "+": _Bounds(1, float("inf")), "?": _Bounds(0, 1)}
        character = self._pattern[self._at : self._at + 1]
        if character in simple:
            bounds, self._at = simple[character], self._at + 1
        elif found := _BOUNDS.match(self._pattern, self._at):
            least, comma, most = found.groups()
            upper = float(most) if most else float("inf") if comma else float(least or 0)
            bounds, self._at = _Bounds(int(least or 0), upper), found.end()
        else:
            return _Bounds(1, 1)
        if self._pattern[self._at : self._at + 1] in ("?", "+"):  # lazy, possessive
            self._at += 1
        return bounds
