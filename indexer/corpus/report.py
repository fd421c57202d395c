"""What a reading of a corpus counted: documents, bytes, and all that was left out, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Reason(Enum):
    """Why something of the corpus was left out; the value completes "skipped: …"."""

    HIDDEN = "hidden"
    IGNORED = "ignored by git"
    UNKNOWN_KIND = "of a kind that isn't read"
    INDEX = "an index, not a text"
    BESIDE_BEIR = "beside the corpus.jsonl of a BEIR folder"
    LINK_OUT = "a link that leads out of the corpus"
    LINK_INSIDE = "a link to what has its own place in the corpus"
    LINK_BROKEN = "a link to nothing"
    SPECIAL = "not a regular file"
    UNREADABLE = "not readable"
    NOT_UTF8 = "not UTF-8"
    TOO_LARGE = "too large for one document"
    NO_TEXT_FIELD = "data without a text field"
    NO_RECORD = "without a record"
    BAD_FILE = "broken file"
    BAD_RECORD = "broken record"
    DUPLICATE = "doc_id that stood before"


@dataclass(slots=True)
class Tally:
    """How often something happened, and where first."""

    count: int
    first: str


@dataclass(slots=True)
class CorpusReport:
    """The counts of one reading, growing while it goes on.

    bytes_done: bytes of the files read or passed over so far, as they lie on the disk; it ends at `total_bytes`.
    empty_documents: documents with neither title nor text; they are kept.
    """

    documents: int = 0
    files: int = 0
    bytes_done: int = 0
    empty_documents: int = 0
    skipped: dict[Reason, Tally] = field(default_factory=dict)
    cleaned: Tally | None = None
    rewritten_ids: Tally | None = None
    dropped_values: dict[str, Tally] = field(default_factory=dict)

    def skip(self, reason: Reason, example: str, count: int = 1) -> None:
        """Count something left out; the first example of each reason is kept."""
        tally = self.skipped.setdefault(reason, Tally(0, example))
        tally.count += count

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
        for name, tally in sorted(self.dropped_values.items()):
            lines.append(
                f"left field {name!r} out of {_number(tally.count, 'document')}: neither text, finite number,"
                f" truth value nor list of these (first: {tally.first})"
            )
        return lines + self.skipped_summary()

    def skipped_summary(self) -> list[str]:
        """Return one line for each reason, in the order of `Reason`."""
        return [
            f"skipped {self.skipped[reason].count:,}: {reason.value} (first: {self.skipped[reason].first})"
            for reason in Reason
            if reason in self.skipped
        ]


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
