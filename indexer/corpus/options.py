"""Options of reading files: one validated value, whose fields describe themselves to every interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from lsr.errors import UsageError
from lsr.indexer.corpus.gitglob import Pattern, patterns_of
from lsr.io.option_spec import OptionSpec

GROUP = "reading files"
QUOTINGS = ("standard", "none")


def _described(**spec: Any) -> Mapping[str, OptionSpec]:
    return {"option": OptionSpec(group=GROUP, **spec)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusOptions:
    """Options of reading files, checked when they are made. Raises UsageError."""

    text: tuple[str, ...] | None = field(default=None, metadata=_described(
        kind="names", metavar="NAME,…",
        help="column or key of the text; of several, the texts are joined in this order (default: text, contents "
        "or another usual name)",
    ))  # fmt: skip
    title: str | None = field(default=None, metadata=_described(
        kind="text", metavar="NAME",
        help="column or key of the title (default: title or headline)",
    ))  # fmt: skip
    id: str | None = field(default=None, metadata=_described(
        kind="text", metavar="NAME",
        help="column or key of the doc_id (default: id, doc_id or another usual name; without one, file and line)",
    ))  # fmt: skip
    fields: tuple[str, ...] | None = field(default=None, metadata=_described(
        kind="names", metavar="NAME,…",
        help="columns or keys that are kept as fields (default: all others)",
    ))  # fmt: skip
    delimiter: str | None = field(default=None, metadata=_described(
        kind="text", metavar="C",
        help="character between the columns of CSV and TSV files, or 'tab' (default: as the first line shows)",
    ))  # fmt: skip
    header: bool = field(default=True, metadata=_described(
        kind="bool", bare=False, flags=("--no-header",),
        help="the first line of CSV and TSV files is a row; columns are called 1, 2, …",
    ))  # fmt: skip
    quoting: str = field(default=QUOTINGS[0], metadata=_described(
        kind="text", choices=QUOTINGS,
        help="'none' takes quotes in CSV and TSV files as plain characters",
    ))  # fmt: skip
    formats: tuple[str, ...] = field(default=(), metadata=_described(
        kind="names", metavar="TYPE=GLOB,…", flags=("--as",),
        help="read files that fit a pattern as this format, as 'text=*.log.old'",
    ))  # fmt: skip
    include: tuple[str, ...] = field(default=(), metadata=_described(
        kind="names", metavar="GLOB,…",
        help="read only the files of folders that fit one of these patterns, as '*.md' or 'docs/**'",
    ))  # fmt: skip
    exclude: tuple[str, ...] = field(default=(), metadata=_described(
        kind="names", metavar="GLOB,…",
        help="skip the files and folders that fit one of these patterns",
    ))  # fmt: skip

    def __post_init__(self) -> None:
        """Check every option."""
        for name, spec, default in corpus_option_specs():
            value = getattr(self, name)
            if value is not default and value is not None:
                object.__setattr__(self, name, spec.check(name, value))
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _delimiter(self.delimiter))
        parts = [*(self.text or ()), *(part for part in (self.title, self.id) if part is not None)]
        if self.text == () or "" in parts:
            raise UsageError("text, title and id name columns or keys: give at least one character")
        if len(set(parts)) < len(parts):
            raise UsageError(f"text, title and id name {', '.join(map(repr, parts))}; each needs a column for itself")
        for assignment in self.formats:
            name, separator, glob = assignment.partition("=")
            if not separator or not name or not glob:
                raise UsageError(f"formats has {assignment!r:.60}; it must be TYPE=GLOB, as 'text=*.old'")

    @property
    def named_formats(self) -> tuple[tuple[str, tuple[Pattern, ...]], ...]:
        """Names of formats with the patterns of the files that are read as them."""
        pairs = (assignment.partition("=")[::2] for assignment in self.formats)
        return tuple((name, patterns_of(glob)) for name, glob in pairs)


class CorpusOption(NamedTuple):
    """An option with its name and default."""

    name: str
    spec: OptionSpec
    default: Any


def corpus_option_specs() -> tuple[CorpusOption, ...]:
    """Return all options of reading files in their order."""
    return tuple(
        CorpusOption(each.name, each.metadata["option"], each.default)
        for each in fields(CorpusOptions)
        if "option" in each.metadata
    )


def _delimiter(value: str) -> str:
    found = {"tab": "\t", "\\t": "\t"}.get(value, value)
    if len(found) != 1 or found in '"\r\n':
        raise UsageError(f"delimiter is {value!r:.60}; it must be one character other than a quote, or 'tab'")
    return found
