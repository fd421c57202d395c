"""Mail: a message a file, or a mailbox of many."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES, FileFormat, SourceFile
from lsr.indexer.corpus.formats.markup import html_parts
from lsr.indexer.corpus.formats.text import clean
from lsr.indexer.corpus.intake import Intake, RecordError
from lsr.indexer.corpus.opening import opened, read_whole
from lsr.indexer.corpus.records import RecordReader
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

_FROM = b"From "
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_MAX_PARTS = 1000
_HEADERS = ("from", "to", "cc", "list-id", "message-id")
LONGEST_HEADER, LONGEST_PARAMETERS = 10_000, 2_000
"""Characters that are read of a header, and of one that describes content: their parsers take the square of them."""
MOST_NESTED = 200
"""Parts of a message that may have parts: each line is compared with the ends of all that are open."""


class _Policy(email.policy.EmailPolicy):
    """The policy of one message, which bounds the work of its parser. kinds: of the parts that have parts."""

    kinds: list[str] = []  # noqa: RUF012  each policy is given another list

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """Return name and value of a header, cut at its longest."""
        name, value = super().header_source_parse(sourcelines)
        if not name.lower().startswith("content-"):
            return name, value[:LONGEST_HEADER]
        if "multipart" in value.lower():
            self.kinds.append(name)
            if len(self.kinds) > MOST_NESTED:
                return name, "text/plain"
        return name, value[:LONGEST_PARAMETERS]


def mail_parts(data: bytes) -> Parts:
    """Return title (the subject), text and fields of a message."""
    # Without a header, the policy's parser takes each line of the text for one.
    message = email.message_from_bytes(data, policy=_Policy(kinds=[]))  # type: ignore[call-overload]
    fields: dict[str, Any] = {name: text for name in _HEADERS if (text := _header(message, name))}
    date = _date(_header(message, "date"))
    if date is not None:
        fields["date"] = date.isoformat()
    return Parts(_header(message, "subject"), _body(message), fields)


def _header(message: EmailMessage, name: str) -> str:
    """Return a header as one line; "" for one that is missing or too broken for the library."""
    try:
        value = message.get(name)
        return "" if value is None else " ".join(clean(str(value)).split())
    except Exception:  # noqa: BLE001  its parsers of headers raise nearly anything for hostile ones
        return ""


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _body(message: EmailMessage) -> str:
    """Return all plain texts of a message, and HTML where an alternative has no plain text; no attachments."""
    plain: list[str] = []
    rich: list[str] = []
    for number, part in enumerate(message.walk()):
        if number >= _MAX_PARTS:
            break
        if part.is_multipart() or part.get_content_disposition() == "attachment":
            continue
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html"):
            text = _decoded(part)
            (plain if kind == "text/plain" else rich).append(text if kind == "text/plain" else html_parts(text)[1])
    texts = plain if any(text.strip() for text in plain) else rich
    return "\n\n".join(text.strip("\n") for text in texts)


def _decoded(part: Any) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    charset = part.get_content_charset() or "utf-8"
    try:
        text = payload.decode(charset, "replace")
    except (LookupError, ValueError):
        text = payload.decode("utf-8", "replace")
    return text.replace("\r\n", "\n")


def read_message(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a message is."""
    yield whole_document(source, intake, mail_parts(read_whole(source, intake.report)))


def read_mailbox(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield (line number, document) of each message of an mbox file. Its id is the file's, `/` and its number."""
    records = RecordReader(intake.report)
    with opened(source, intake.report) as stream:
        for number, (line, data) in enumerate(_messages(stream), 1):
            if len(data) > MAX_DOCUMENT_BYTES:
                intake.bad_record(source, line, f"the message is over {MAX_DOCUMENT_BYTES >> 20} MiB")
                continue
            parts = mail_parts(_QUOTED_FROM.sub(rb"\1", data))
            try:
                fields = parts.fields.items()
                document = records.assemble(f"{source.doc_id}/{number}", parts.text.strip(), parts.title, fields)
            except RecordError as error:
                intake.bad_record(source, line, str(error))
                continue
            yield line, document


def _messages(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield line number and bytes of each message; of one that is too long the beginning."""
    pieces: list[bytes] = []
    begun, size, blank = 0, 0, True
    for number, line in enumerate(iter(lambda: stream.readline(MAX_DOCUMENT_BYTES), b""), 1):
        if blank and line.startswith(_FROM):
            if begun:
                yield begun, b"".join(pieces)
            begun, pieces, size = number, [], 0
        elif begun and size <= MAX_DOCUMENT_BYTES:
            pieces.append(line)
            size += len(line)
        blank = not line.strip()
    if begun:
        yield begun, b"".join(pieces)


FORMATS = (
    FileFormat(
        "mail",
        (".eml",),
        read_message,
        title="the subject",
        text="plain text, else HTML's text; no attachments",
        fields="`from`, `to`, `cc`, `date`, `message-id`, `list-id`",
    ),
    FileFormat(
        "mailbox",
        (".mbox",),
        read_mailbox,
        title="the subject",
        text="a document a message: plain text, else HTML's text; no attachments",
        fields="`from`, `to`, `cc`, `date`, `message-id`, `list-id`",
        holds_records=True,
    ),
)
