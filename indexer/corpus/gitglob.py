"""The patterns of .gitignore files, matched against one entry at a time as git does it (gitignore(5)).

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


def _translated(glob: str) -> str:
    """Return the regular expression of a glob. Raises ValueError or KeyError where it makes no sense."""
    out = []
    at = 0
    while at < len(glob):
        character = glob[at]
        if character == "*":
            end = at
            while end < len(glob) and glob[end] == "*":
                end += 1
            whole_part = end - at == 2 and (at == 0 or glob[at - 1] == "/") and (end == len(glob) or glob[end] == "/")
            if whole_part and end < len(glob):
                out.append("(?:.*/)?")
                end += 1
            else:
                out.append(".*" if whole_part else "[^/]*")
            at = end
        elif character == "?":
            out.append("[^/]")
            at += 1
        elif character == "[":
            members, at = _bracket(glob, at + 1)
            out.append(members)
        else:
            at += character == "\\"
            if at == len(glob):
                raise ValueError("nothing follows the last backslash")
            out.append(re.escape(glob[at]))
            at += 1
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
