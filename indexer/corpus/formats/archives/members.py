"""Members of ZIP and tar archives as streams of bytes, with their names made safe."""

from __future__ import annotations

import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from lsr.indexer.corpus.doc_ids import fit_doc_id
from lsr.indexer.corpus.intake import FileBrokenError
from lsr.indexer.corpus.report import Reason

MAX_MEMBERS = 100_000
"""Members that an archive may have, together with those of the archives in it."""

MAX_DIRECTORY_BYTES = 64 << 20
"""Size of the table of contents of a ZIP archive: what opening it takes in memory grows with it."""

MAX_NAME = 1024
MAX_FOLDERS = 64
"""Limits of a member's name: its characters, and the folders in it."""

_MAX_HEADER_BYTES = 1 << 20  # of a tar member's long name or extended header, which tarfile reads at once
_PIECE = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")
_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_TAIL_BYTES = 22 + 0xFFFF + 76

_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, ValueError,
           OSError)  # fmt: skip
"""Errors of zipfile for an archive or a member that is damaged, or of a compression that it doesn't know."""


class MemberBrokenError(Exception):
    """A member can't be read; those behind it can."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    name: its path in the archive, relative and without `..`. pieces: yields its bytes; raises MemberBrokenError, or
    FileBrokenError where the whole archive is broken. reason: reason to skip it.
    """

    name: str
    pieces: Callable[[], Iterator[bytes]]
    reason: Reason | None = None


def safe_name(name: str) -> str:
    """Return a member's name as a relative path; "" for one that leads out of the archive or is too long."""
    if "/" not in name and "\\" in name:
        name = name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    leads_out = name.startswith("/") or ".." in parts or _DRIVE.match(name) or "\0" in name
    if leads_out or len(name) > MAX_NAME or len(parts) > MAX_FOLDERS:
        return ""
    return fit_doc_id("/".join(parts))


def zip_members(stream: BinaryIO) -> Iterator[Member]:
    """Yield the files of a ZIP archive; of several with one name the last. Raises FileBrokenError."""
    check_directory(stream)
    try:
        archive = zipfile.ZipFile(stream)
    except _DAMAGE as error:
        raise FileBrokenError(f"not a ZIP archive: {error}") from None
    with archive:
        for info in {info.filename: info for info in archive.infolist()}.values():
            if info.is_dir():
                continue
            mode = info.external_attr >> 16
            reason = None
            if info.flag_bits & _ENCRYPTED:
                reason = Reason.ENCRYPTED
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                reason = Reason.SPECIAL
            yield _member(_zip_name(info), partial(_zip_pieces, archive, info), reason)


def _zip_pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as stream:
            yield from iter(partial(stream.read, _PIECE), b"")
    except _DAMAGE as error:
        raise MemberBrokenError(" ".join(str(error).split())) from None


def _tar_pieces(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    try:
        stream = archive.extractfile(info)
        if stream is not None:
            yield from iter(partial(stream.read, _PIECE), b"")
    except tarfile.TarError as error:
        raise _tar_damage(error) from None


def _tar_damage(error: Exception) -> FileBrokenError:
    return FileBrokenError(f"the tar archive is damaged or cut off: {error}")


def _member(name: str, pieces: Callable[[], Iterator[bytes]], reason: Reason | None) -> Member:
    safe = safe_name(name)
    return Member(safe or name, pieces, reason if safe else Reason.BAD_NAME)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return the name of a member; most programs write UTF-8, some without saying so."""
    if not info.flag_bits & _UTF8_NAME:
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode()
    return info.filename


def check_directory(stream: BinaryIO) -> None:
    """Raise FileBrokenError for a ZIP archive whose table of contents is too large to be read."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _TAIL_BYTES))
    tail = stream.read(_TAIL_BYTES)
    stream.seek(0)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 16:
        return  # no archive, which the library finds as well
    (declared,) = struct.unpack_from("<L", tail, at + 12)
    if at >= 76 and tail[at - 20 : at - 16] == b"PK\6\7":
        (declared,) = struct.unpack_from("<Q", tail, at - 76 + 40)
    if min(declared, size) > MAX_DIRECTORY_BYTES:
        limit = f"{MAX_DIRECTORY_BYTES >> 20} MiB"
        raise FileBrokenError(f"the archive's table of contents has over {limit}: split the archive")


class _End:
    """Note of whether a tar archive's end was found: one that is cut off between two members has none."""

    is_found = False


class _TarInfo(tarfile.TarInfo):
    """A header that refuses to read long names without bound."""

    end: _End

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> tarfile.TarInfo:  # type: ignore[override]
        if buf and not buf.strip(b"\0"):
            cls.end.is_found = True
        found = super().frombuf(buf, encoding, errors)  # type: ignore[arg-type]
        headers = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
                   tarfile.GNUTYPE_LONGLINK)  # fmt: skip
        if found.type in headers and found.size > _MAX_HEADER_BYTES:
            raise FileBrokenError(f"a header of the tar archive has over {_MAX_HEADER_BYTES >> 20} MiB")
        return found


def tar_members(stream: BinaryIO) -> Iterator[Member]:
    """Yield the files of a tar archive, in one reading of the stream. Raises FileBrokenError."""
    end = _End()
    header = type("_Header", (_TarInfo,), {"end": end})
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=header, errors="surrogateescape") as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # else all headers are kept
                if info.isdir():
                    continue
                reason = None if info.isreg() else Reason.SPECIAL
                yield _member(info.name, partial(_tar_pieces, archive, info), reason)
        if not end.is_found:
            raise FileBrokenError("the tar archive is cut off: it has no end")
    except (tarfile.TarError, OverflowError, ValueError) as error:
        raise _tar_damage(error) from None
