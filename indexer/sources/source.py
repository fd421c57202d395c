"""A source: a folder or file that an index was made of, with the options that it was read with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.walk import Root


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or file that an index follows.

    given: its path as the user wrote it. root: where it is, absolute and without links. prefix: the id of a file, or
    what the ids of a folder's files begin with. skip_bad: whether what can't be read is skipped.
    """

    given: str
    root: str
    prefix: str
    options: CorpusOptions
    skip_bad: bool

    @classmethod
    def of(cls, root: Root) -> Source:
        """Return the source that a root begins."""
        return cls(root.given, str(root.real), root.doc_id_path, root.options, root.skip_bad)

    def path(self, inside: str) -> str:
        """Return the path of a file. inside: its path in the source."""
        return f"{self.root}/{inside}" if inside else self.root

    def label(self, inside: str) -> str:
        """Return the path of a file as the user would write it."""
        return str(Path(self.given, inside))

    def root_at(self, number: int, inside: str = "") -> Root:
        """Return the source, or a folder or file in it, as where a walk begins. number: of the source."""
        doc_id_path = os.path.normpath(f"{self.prefix}/{inside}") if inside else self.prefix
        real = Path(os.path.realpath(self.path(inside)))
        return Root(self.label(inside), real, doc_id_path, self.options, self.skip_bad, number, inside)

    def find(self, path: str) -> str | None:
        """Return the path inside the source of an absolute path, None for one outside."""
        if path == self.root:
            return ""
        start = self.root.rstrip("/") + "/"
        return path[len(start) :] if path.startswith(start) else None

    def to_json(self) -> dict[str, Any]:
        """Return the source as JSON values."""
        changed = {
            each.name: value
            for each in fields(CorpusOptions)
            if (value := getattr(self.options, each.name)) != each.default
        }
        return {
            "given": self.given, "root": self.root, "prefix": self.prefix, "options": changed,
            "skip_bad": self.skip_bad,
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Source:
        """Return a source from JSON values. Raises KeyError, TypeError, ValueError or UsageError for what is none."""
        given, root, prefix = (content[name] for name in ("given", "root", "prefix"))
        are_texts = all(isinstance(text, str) and "\0" not in text for text in (given, root, prefix))
        if not are_texts or not Path(root).is_absolute():
            raise ValueError(f"the source {given!r:.100}")
        options: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content["options"].items()
        }
        return cls(given, root, prefix, CorpusOptions(**options), bool(content["skip_bad"]))


def absolute(path: Path) -> str:
    """Return where a path is, links in its folders resolved, but not one that it is itself."""
    whole = os.path.normpath(path.absolute())
    folder, name = os.path.split(whole)
    return str(Path(os.path.realpath(folder), name))
