"""Counts of a reading: documents, bytes, and all that was left out, with the reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum


class Reason(Enum):
    """Reasons for leaving something out; the value completes "skipped: …"."""

    HIDDEN = "hidden"
    EXCLUDED = "left out by --include and --exclude"
    IGNORED = "ignored by git"
    UNKNOWN_KIND = "of a kind that isn't read"
    NO_LIBRARY = "of a kind whose library is missing"
    INDEX = "an index, not a text"
    BESIDE_BEIR = "beside the corpus.jsonl of a BEIR folder"
    LINK_OUT = "a link that leads out of the corpus"
    LINK_INSIDE = "a link to what has its own place in the corpus"
    LINK_BROKEN = "a link to nothing"
    SPECIAL = "not a regular file"
    UNREADABLE = "not readable"
    NOT_UTF8 = "not UTF-8"
    TOO_LARGE = "too large for one document"
    BAD_NAME = "a name that leads out of its archive, or is too long"
    TOO_DEEP = "an archive in too many archives"
    ENCRYPTED = "encrypted"
    NO_TEXT = "without text"
    NO_TEXT_FIELD = "data without a text field"
    NO_RECORD = "without a record"
    BAD_FILE = "broken file"
    BAD_RECORD = "broken record"
    DUPLICATE = "doc_id that stood before"


@dataclass(slots=True)
class Tally:
    """Number of times that something happened, the first of them, and the suffixes of files."""

    count: int
    first: str
    suffixes: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class CorpusReport:
    """The counts of one reading, growing meanwhile.

    bytes_done: bytes of the files read or skipped so far, as they lie on the disk; it ends at `total_bytes`.
    empty_documents: documents with neither title nor text; they are kept.
    """

    documents: int = 0
    files: int = 0
    bytes_done: int = 0
    empty_documents: int = 0
    skipped: dict[Reason, Tally] = field(default_factory=dict)
    cleaned: Tally | None = None
    rewritten_ids: Tally | None = None
    made_ids: Tally | None = None
    taken_as_text: Tally | None = None
    dropped_values: dict[str, Tally] = field(default_factory=dict)

    def skip(self, reason: Reason, example: str, count: int = 1, *, suffix: str | None = None) -> None:
        """Count something left out; the first example of each reason is kept.

        suffix: of the file's name, by which the count is broken down.
        """
        tally = self.skipped.setdefault(reason, Tally(0, example))
        tally.count += count
        if suffix is not None:
            tally.suffixes[suffix] += count

    def count_skipped(self, *reasons: Reason) -> int:
        """Return how much was left out for these reasons; for all of them where none is given."""
        return sum(tally.count for reason, tally in self.skipped.items() if not reasons or reason in reasons)

    def clean(self, doc_id: str) -> None:
        """Count a document some of whose characters had to be replaced."""
        self.cleaned = self.cleaned or Tally(0, doc_id)
        self.cleaned.count += 1

    def rewrite_id(self, old: str, new: str) -> None:
        """Count a doc_id that had to be changed."""
        self.rewritten_ids = self.rewritten_ids or Tally(0, f"{old!r} is now {new}")
        self.rewritten_ids.count += 1

    def make_id(self, doc_id: str) -> None:
        """Count a document without an id, which got its place as one."""
        self.made_ids = self.made_ids or Tally(0, doc_id)
        self.made_ids.count += 1

    def take_as_text(self, example: str) -> None:
        """Count a file of data without a text field that became a plain text."""
        self.taken_as_text = self.taken_as_text or Tally(0, example)
        self.taken_as_text.count += 1

    def drop_value(self, name: str, doc_id: str) -> None:
        """Count a value that doesn't fit in a document's fields."""
        self.dropped_values.setdefault(name, Tally(0, doc_id)).count += 1

    def summary(self) -> list[str]:
        """Return lines for people: what was read, then what was changed and what was skipped, and why."""
        lines = [f"read {_number(self.documents, 'document')} from {_number(self.files, 'file')}"]
        if self.empty_documents:
            lines.append(f"kept {_number(self.empty_documents, 'document')} without any text")
        if self.cleaned:
            lines.append(
                f"replaced NUL characters or lone surrogates in {_number(self.cleaned.count, 'document')}"
                f" (first: {self.cleaned.first})"
            )
        if self.rewritten_ids:
            lines.append(
                f"rewrote {_number(self.rewritten_ids.count, 'doc_id')} that UTF-8 can't hold"
                f" (first: {self.rewritten_ids.first})"
            )
        if self.made_ids:
            lines.append(
                f"gave {_number(self.made_ids.count, 'document')} without a doc_id file and line as one"
                f" (first: {self.made_ids.first})"
            )
        if self.taken_as_text:
            lines.append(
                f"took {_number(self.taken_as_text.count, 'file')} of data without a text field as plain text"
                f" (first: {self.taken_as_text.first})"
            )
        for name, tally in sorted(self.dropped_values.items()):
            lines.append(
                f"left field {name!r} out of {_number(tally.count, 'document')}: neither text, finite number,"
                f" truth value nor list of these (first: {tally.first})"
            )
        return lines + self.skipped_summary()

    def skipped_summary(self) -> list[str]:
        """Return one line for each reason, in the order of `Reason`."""
        return [
            f"skipped {tally.count:,}: {reason.value}{_broken_down(tally.suffixes)} (first: {tally.first})"
            for reason in Reason
            if (tally := self.skipped.get(reason))
        ]


_MOST_SUFFIXES = 8


def _broken_down(suffixes: Counter[str]) -> str:
    """Return the most frequent suffixes with their numbers, those of one number by name."""
    if not suffixes:
        return ""
    ordered = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count:,} {suffix or 'without a suffix'}" for suffix, count in ordered[:_MOST_SUFFIXES]]
    others = sum(count for _, count in ordered[_MOST_SUFFIXES:])
    return f": {', '.join(shown)}" + (f", {others:,} others" if others else "")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
