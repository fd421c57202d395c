"""An index as one file: a plain tar of the manifest and of the files that it names, and back.

A stranger's file is believed in nothing: its content must be what its manifest says, by name, kind, size and
checksum, and nothing else; names can't lead out of the index, and there are no links.
"""

from __future__ import annotations

import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from lsr.errors import IndexDamagedError, IndexMissingError, LsrError
from lsr.indexer.shards.manifest import refuse_set
from lsr.indexer.storage.files import CHUNK_BYTES, FileInfo, new_file
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import LARGEST_MANIFEST, Manifest, Part, manifest_bytes, parse_manifest
from lsr.indexer.storage.segment import Segment
from lsr.indexer.write.transaction import Workplace, explained
from lsr.io.atomic import atomic_file
from lsr.io.folder import FileAt, Folder, file_at

MANIFEST = "manifest.json"
LARGEST_HEADER = 1 << 16
"""Bytes of an extended header; writers make some hundred, and those only for files above 8 GiB."""
MOST_HEADERS = 4
"""Extended headers before a file."""
_Members = dict[str, tuple[Part, str]]


def export_index(path: str | Path, target: Path, *, overwrite: bool = False) -> Manifest:
    """Write the last generation of an index to one file, whole or not at all; return its manifest.

    Raises LsrError if there is such a file and not `overwrite`, or it can't be written; IndexDamagedError for a file of
    the index that is not what was written.
    """
    refuse_set(path, "an archive is made of")
    with StoredIndex.open(path) as index, written(target, overwrite=overwrite) as file:
        manifest = replace(index.manifest, sources=None)  # places on this machine, of no use on another
        raw = manifest_bytes(manifest)
        with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(_member(MANIFEST, len(raw)), io.BytesIO(raw))
            for name, (part, file_name) in _members(manifest).items():
                source = part.open(index.folder) / file_name
                with source.open() as opened:
                    checked = _Checked(opened)
                    archive.addfile(_member(name, part.files[file_name].size_bytes), checked)
                if checked.info != part.files[file_name]:
                    raise IndexDamagedError(f"{source}: its content is not what was written; 'lsr check' says more")
    return manifest


@contextmanager
def written(target: Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """Write a file aside, sync it, and rename it to its place; leave nothing where that fails."""
    if os.path.lexists(target) and not overwrite:
        raise LsrError(f"{target} is there already; --overwrite replaces it")
    try:
        with atomic_file(file_at(target)) as file:  # whose folder must be there
            yield file
    except OSError as error:
        raise LsrError(f"can't write {target}: {error.strerror or error}; choose another place") from error


def import_index(source: Path, path: Path, *, overwrite: bool = False) -> Manifest:
    """Make an index of what `export_index` wrote; return its manifest.

    Raises IndexMissingError if there is no such file, IndexDamagedError for one that is none of these, or cut, or
    holds anything but what its manifest says; and what `Workplace.for_new` raises.
    """
    try:
        opened = source.open("rb")
    except OSError as error:
        raise IndexMissingError(f"{source}: can't be read ({error.strerror or error})") from error
    with opened, Workplace.for_new(path, overwrite=overwrite) as place, explained(path, place):
        try:
            with tarfile.open(fileobj=opened, mode="r|", tarinfo=_limited()) as archive:
                return _take(archive, source, place)
        except (tarfile.TarError, EOFError, ValueError, UnicodeError) as error:
            raise IndexDamagedError(f"{source}: not a whole file of 'lsr export' ({error})") from error


def _limited() -> type[tarfile.TarInfo]:
    """Return a reader of headers that refuses those that are large, many, or of files with holes."""
    extended = {
        tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
    }  # fmt: skip
    in_a_row = [0]

    class Limited(tarfile.TarInfo):
        """A header of limited size."""

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Limited:
            found = super().frombuf(buf, encoding, errors)
            in_a_row[0] = in_a_row[0] + 1 if found.type in extended else 0
            if found.type in extended and not 0 <= found.size <= LARGEST_HEADER:
                raise tarfile.ReadError(f"an extended header of {found.size:,} bytes, the limit is {LARGEST_HEADER:,}")
            if in_a_row[0] > MOST_HEADERS:
                raise tarfile.ReadError(f"more than {MOST_HEADERS} extended headers before a file")
            if found.type == tarfile.GNUTYPE_SPARSE:
                raise tarfile.ReadError("a file with holes")
            return found

    return Limited


def _take(archive: tarfile.TarFile, source: Path, place: Workplace) -> Manifest:
    manifest = _read_manifest(archive, source)
    due = _members(manifest)
    folders: dict[tuple[str, str], Folder] = {}
    for part in manifest.parts:
        folders[part.kind, part.id] = place.folder(f"part-{len(folders)}")
    while (member := archive.next()) is not None:
        if member.name not in due:
            raise IndexDamagedError(f"{source}: holds {member.name!r:.100}, which its manifest does not name, or twice")
        part, name = due.pop(member.name)
        content = _content(archive, member, source, part.files[name].size_bytes)
        if _copied(content, folders[part.kind, part.id] / name) != part.files[name]:
            raise IndexDamagedError(f"{source}: its {member.name} is not what was written; get the file again")
    if due:
        raise IndexDamagedError(f"{source}: its {next(iter(due))} is missing; get the file again")
    kept = {key: place.keep(key[0], folder, _files(manifest, key)) for key, folder in folders.items()}
    manifest = replace(manifest.with_parts(lambda part: kept[part.kind, part.id]), generation=place.generation)
    for info in manifest.segments:
        Segment(place.root, info)  # opening one verifies headers and shapes
    place.commit(manifest)
    return manifest


def _read_manifest(archive: tarfile.TarFile, source: Path) -> Manifest:
    first = archive.next()
    if first is None or first.name != MANIFEST or first.size > LARGEST_MANIFEST:
        raise IndexDamagedError(f"{source}: not a file of 'lsr export': it does not begin with {MANIFEST}")
    return parse_manifest(_content(archive, first, source, first.size).read(), source)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, source: Path, size_bytes: int) -> IO[bytes]:
    """Return what reads a plain file's content; links, devices, folders and files with holes are refused."""
    content = archive.extractfile(member) if member.type == tarfile.REGTYPE and not member.issparse() else None
    if content is None:
        raise IndexDamagedError(f"{source}: its {member.name!r:.100} is not a plain file")
    if member.size != size_bytes:
        raise IndexDamagedError(f"{source}: its {member.name} has {member.size} bytes instead of {size_bytes}")
    return content


def _copied(content: IO[bytes], target: FileAt) -> FileInfo:
    with new_file(target) as file:
        while chunk := content.read(CHUNK_BYTES):
            file.write(chunk)
    return file.info


def _members(manifest: Manifest) -> _Members:
    """Return all files of a generation by their names in the archive."""
    return {f"{part.kind}/{part.id}/{name}": (part, name) for part in manifest.parts for name in part.files}


def _files(manifest: Manifest, key: tuple[str, str]) -> dict[str, FileInfo]:
    return next(dict(part.files) for part in manifest.parts if (part.kind, part.id) == key)


def _member(name: str, size_bytes: int) -> tarfile.TarInfo:
    """Return a header that depends on nothing but the index."""
    found = tarfile.TarInfo(name)
    found.size, found.mode = size_bytes, 0o644
    return found


class _Checked(io.RawIOBase):
    """A file that is checksummed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.info = FileInfo(0, 0)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.info = FileInfo(self.info.size_bytes + len(data), zlib.crc32(data, self.info.crc32))
        return data
