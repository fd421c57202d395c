"""Files that are ZIP archives inside: Word, PowerPoint and EPUB."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from lsr.indexer.corpus.file_format import SourceFile
from lsr.indexer.corpus.formats.archives.members import check_directory
from lsr.indexer.corpus.intake import FileBrokenError, FileSkippedError, Intake
from lsr.indexer.corpus.opening import read_whole
from lsr.indexer.corpus.report import Reason
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

MAX_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 1 << 30
MAX_MEMBER_BYTES = 256 << 20
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
"""First bytes of Office's older format, in which encrypted documents of the newer ones are wrapped."""


def read_office(
    source: SourceFile, intake: Intake, program: str, parts_of: Callable[[BinaryIO], Parts]
) -> Iterator[tuple[int, Document]]:
    """Yield the document that a file of an office program is; an encrypted one is counted as without text.

    program: name of the program, for messages. parts_of: parses the file, and may raise anything.
    """
    data = read_whole(source, intake.report)
    if data.startswith(_OLD_OFFICE):
        raise FileSkippedError(Reason.NO_TEXT, f"encrypted, or of {program}'s older format")
    checked_zip(data, f"a {program} document").close()
    try:
        parts = parts_of(io.BytesIO(data))
    except Exception as error:  # noqa: BLE001  the libraries raise nearly anything for damaged files
        message = " ".join(str(error).split())[:300]
        raise FileBrokenError(f"the {program} document can't be read: {message}") from None
    yield whole_document(source, intake, parts)


def checked_zip(data: bytes, what: str) -> zipfile.ZipFile:
    """Open a ZIP archive that is bounded in members and sizes. Raises FileBrokenError."""
    check_directory(io.BytesIO(data))
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError) as error:
        raise FileBrokenError(f"not {what}: {error}") from None
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise FileBrokenError(f"it has {len(members):,} members, over the limit of {MAX_MEMBERS:,} for {what}")
    largest = max((member.file_size for member in members), default=0)
    if largest > MAX_MEMBER_BYTES or sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise FileBrokenError(
            f"it unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB, or {MAX_MEMBER_BYTES >> 20} MiB in one member,"
            f" the limits for {what}"
        )
    return archive
