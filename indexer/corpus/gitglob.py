"""Patterns of .gitignore files, matched against one entry at a time as git does it (gitignore(5)).

Libraries for these patterns judge a path as that of a file somewhere below, where a pattern that matches a folder
also matches all that lies in it. A walk asks about each folder before it goes in, and needs the entry's own verdict:
patterns further up may hide a folder that a deeper file keeps, and say nothing of what is inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \t",
    "digit": "0-9",
    "lower": "a-z",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of a .gitignore file.

    negated: what it matches is kept. folders_only: it ended with a slash. names_only: it holds no other slash, and
    so is matched with the entry's name, wherever it lies.
    """

    regex: re.Pattern[str]
    negated: bool
    folders_only: bool
    names_only: bool

    def matches(self, path: str, name: str, *, is_folder: bool) -> bool:
        """Tell whether the entry itself matches; `path` is relative to the folder of the .gitignore file."""
        if self.folders_only and not is_folder:
            return False
        return self.regex.fullmatch(name if self.names_only else path) is not None


def patterns_of(text: str) -> tuple[Pattern, ...]:
    """Return the patterns of a .gitignore file; lines that make no sense match nothing and are left out."""
    return tuple(_patterns(text.removeprefix("\ufeff")))


def _patterns(text: str) -> Iterator[Pattern]:
    for raw in text.split("\n"):
        line = _without_end_spaces(raw.removesuffix("\r"))
        if not line or line.startswith("#"):
            continue
        negated = line.startswith("!")
        glob = line[negated:]
        folders_only = glob.endswith("/")
        glob = glob[: len(glob) - folders_only]
        names_only = "/" not in glob
        try:
            regex = re.compile(_translated(glob.removeprefix("/")), re.DOTALL)
        except (KeyError, ValueError, re.error):
            continue
        if glob:
            yield Pattern(regex, negated, folders_only, names_only)


def _without_end_spaces(line: str) -> str:
    bare = line.rstrip(" ")
    escapes = len(bare) - len(bare.rstrip("\\"))
    return bare + " " if escapes % 2 and len(bare) < len(line) else bare


_SLASH, _STAR, _STARS, _REST = "/", "*", "**/", "**"


def _translated(glob: str) -> str:
    """Return the regular expression of a glob, which takes linear time for a name, however many stars there are.

    Between two stars the first place that fits is as good as any later one, so each piece is matched atomically,
    without a way back. Raises ValueError or KeyError where the glob makes no sense.
    """
    groups: list[list[list[str]]] = [[[]]]  # of components, between `**`; each of characters and stars
    for token in _tokens(glob):
        if token in (_STARS, _REST):
            groups.append([[]] if token == _STARS else [[_REST]])
        elif token == _SLASH:
            groups[-1].append([])
        else:
            groups[-1][-1].append(token)
    rest = groups[-1] == [[_REST]]
    out = [_components(groups[0]) if len(groups) > 1 or not rest else ".*"]
    # The group between `**/**/` is empty; all others end with a slash.
    out += [rf"(?>(?:[^/]*/)*?{_components(group)})" for group in groups[1:-1] if group != [[]]]
    if len(groups) > 1:
        ahead = "[^/]*" + "/[^/]*" * (len(groups[-1]) - 1)
        out.append(rf"(?>(?:[^/]*/)*?(?={ahead}\Z)){_components(groups[-1])}" if not rest else ".*")
    return "".join(out)


def _tokens(glob: str) -> Iterator[str]:
    """Yield characters as patterns of one character, `/`, `*`, `**/`, and `**` at the end."""
    at = 0
    while at < len(glob):
        character = glob[at]
        if character == "*":
            end = at
            while end < len(glob) and glob[end] == "*":
                end += 1
            whole_part = end - at == 2 and (at == 0 or glob[at - 1] == "/") and (end == len(glob) or glob[end] == "/")
            yield (_STARS if end < len(glob) else _REST) if whole_part else _STAR
            at = end + (whole_part and end < len(glob))
        elif character == "?":
            yield "[^/]"
            at += 1
        elif character == "[":
            members, at = _bracket(glob, at + 1)
            yield members
        else:
            at += character == "\\"
            if at == len(glob):
                raise ValueError("nothing follows the last backslash")
            yield _SLASH if glob[at] == "/" else re.escape(glob[at])
            at += 1


def _components(group: list[list[str]]) -> str:
    return "/".join(map(_component, group))


def _component(tokens: list[str]) -> str:
    """Return the pattern of a part of a path without slashes."""
    pieces: list[list[str]] = [[]]
    for token in tokens:
        if token == _STAR:
            pieces.append([])
        else:
            pieces[-1].append(token)
    first, *others = ("".join(piece) for piece in pieces)
    if not others:
        return first
    *middle, last = others
    out = [first, *(rf"(?>[^/]*?{piece})" for piece in middle if piece)]
    n_last = len(pieces[-1])
    out.append(rf"(?=[^/]{{{n_last}}})[^/]*+(?<={last})" if last else "[^/]*+")
    return "".join(out)


def _bracket(glob: str, at: int) -> tuple[str, int]:
    """Return the regular expression of a bracket whose inside begins at `at`, and where it ends."""
    negated = glob[at : at + 1] in ("!", "^")
    at += negated
    members: list[str] = []
    first = True
    while first or glob[at : at + 1] != "]":
        first = False
        named = re.compile(r"\[:(\w+):\]").match(glob, at)
        if named:
            members.append(_CLASSES[named[1]])
            at = named.end()
            continue
        low, at = _member(glob, at)
        if glob[at : at + 1] == "-" and glob[at + 1 : at + 2] not in ("]", ""):
            high, at = _member(glob, at + 1)
            members.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            members.append(re.escape(low))
    return f"(?!/)[{'^' if negated else ''}{''.join(members)}]", at + 1


def _member(glob: str, at: int) -> tuple[str, int]:
    at += glob[at : at + 1] == "\\"
    if at >= len(glob):
        raise ValueError("a bracket is never closed")
    return glob[at], at + 1
