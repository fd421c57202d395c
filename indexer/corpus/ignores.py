"""Patterns that git ignores: of .gitignore files here, below and above up to the repository's root, and info/exclude.

Git's rule: of the patterns that match an entry the last one of the deepest file decides; a folder that is
ignored hides all below it (the walk never goes down there). That git knows a file already doesn't count here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lsr.indexer.corpus.gitglob import Pattern, patterns_of
from lsr.io.plain_file import open_regular

LARGEST_BYTES = 1 << 20
"""Bytes that are read of a file of patterns."""


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """The patterns of one file, for paths below `base` (which ends with a slash)."""

    base: str
    patterns: tuple[Pattern, ...]

    def verdict(self, path: str, *, is_folder: bool) -> bool | None:
        """Return True for ignored, False for expressly kept, None where no pattern matches."""
        relative = path[len(self.base) :]
        name = path[path.rfind("/") + 1 :]
        for pattern in reversed(self.patterns):
            if pattern.matches(relative, name, is_folder=is_folder):
                return not pattern.negated
        return None


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The patterns that hold in one folder, from the weakest file to the strongest."""

    files: tuple[IgnoreFile, ...] = ()

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether git ignores this absolute path, given that it doesn't ignore the folder it lies in."""
        for file in reversed(self.files):
            verdict = file.verdict(path, is_folder=is_folder)
            if verdict is not None:
                return verdict
        return False

    def inside(self, folder: str) -> IgnoreRules:
        """Return the rules that hold in `folder`, below the one these hold in."""
        return IgnoreRules(self.files + tuple(_files_of(folder)))

    @classmethod
    def of_root(cls, folder: str) -> IgnoreRules:
        """Return the rules for a folder where a walk begins.

        Where the repository ignores that very folder, somebody asked for it all the same,
        and the patterns from above don't count.
        """
        parents = [Path(folder), *Path(folder).parents]
        repository = next((i for i, parent in enumerate(parents) if os.path.lexists(parent / ".git")), 0)
        rules, asked_for_all_the_same = cls(), False
        for parent, child in pairwise(reversed(parents[: repository + 1])):
            rules = rules.inside(str(parent))
            asked_for_all_the_same |= rules.ignores(str(child), is_folder=True)
        return (cls() if asked_for_all_the_same else rules).inside(folder)


def _files_of(folder: str) -> list[IgnoreFile]:
    found = []
    exclude = _exclude_file(Path(folder))
    for path in ([exclude] if exclude else []) + [Path(folder) / ".gitignore"]:
        try:
            text = _read(path)
        except OSError:
            continue
        found.append(IgnoreFile(folder.rstrip("/") + "/", patterns_of(text)))
    return found


def _read(path: Path) -> str:
    """Return the text of a file, as far as it is read, which may be a FIFO of a stranger. Raises OSError."""
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read(LARGEST_BYTES).decode("utf-8", "surrogateescape")


def _exclude_file(folder: Path) -> Path | None:
    """Return info/exclude of the repository whose root `folder` is; in a worktree or submodule .git is a file."""
    git = folder / ".git"
    if _is_folder(git):
        return git / "info" / "exclude"
    try:
        git = folder / _read(git).removeprefix("gitdir:").strip()
        git = git / _read(git / "commondir").strip()
    except (OSError, ValueError):
        pass
    return git / "info" / "exclude" if _is_folder(git) else None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # in a folder that can't be entered
        return False
