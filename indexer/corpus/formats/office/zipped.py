"""Checks of files that are ZIP archives inside: Word, PowerPoint and EPUB."""

from __future__ import annotations

import io
import zipfile

from lsr.indexer.corpus.intake import FileBrokenError

MAX_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 1 << 30
MAX_MEMBER_BYTES = 256 << 20


def checked_zip(data: bytes, what: str) -> zipfile.ZipFile:
    """Open a ZIP archive that is bounded in members and sizes. Raises FileBrokenError."""
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
