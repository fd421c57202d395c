"""Folders reached through descriptors, in which no link is followed.

A folder may come from a stranger: a link in it would lead a reader, a writer or a removal to files elsewhere, a FIFO
would make it wait for ever, a device would act. So each step goes down by one name, relative to the descriptor of the
folder above, and looks at the kind of what is there before it is opened, and again afterwards. Only the path that a
caller gives to begin with may lead through links.

All methods raise OSError, whose `strerror` says which name is of which kind.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lsr.errors import LsrError

DEEPEST = 16
"""Folders in folders that `remove_tree` goes down; writers make three."""

_FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = (
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a link, which is not followed"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
)
FILE, FOLDER = _KINDS[0][1], _KINDS[1][1]
_CODES = {FOLDER: errno.EISDIR, FILE: errno.ENOTDIR, _KINDS[2][1]: errno.ELOOP}


class UnfitFileError(OSError):
    """Refusal to open an entry of the wrong kind, or one with several hard links."""


class Folder:
    """An open folder. path: for messages, and for what has to be given a path.

    The descriptor is closed when the object is forgotten, or by `close`.
    """

    def __init__(self, descriptor: int, path: Path, parent: Folder | None = None) -> None:
        self.descriptor = descriptor
        self.path = path
        self._parent = parent
        self._release = weakref.finalize(self, os.close, descriptor)

    @classmethod
    def open(cls, path: str | Path) -> Folder:
        """Open the folder that a caller names; its path may lead through links."""
        return cls(os.open(path, _FOLDER_FLAGS), Path(path))

    @classmethod
    def of(cls, place: Path | Folder) -> Folder:
        """Return a folder that is open already as it is, or open the one at a path."""
        return place if isinstance(place, Folder) else cls.open(place)

    def close(self) -> None:
        """Close the descriptor; nothing can be reached through it any more."""
        self.descriptor = -1  # since its number may soon be that of another folder
        self._release()

    def __truediv__(self, name: str) -> FileAt:
        return FileAt(self, name)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.name

    def is_same(self, other: Folder) -> bool:
        """Return whether another descriptor is of the same folder, not of one that took its path."""
        return os.path.samestat(os.fstat(self.descriptor), os.fstat(other.descriptor))

    def names(self) -> list[str]:
        """Return the names of all that is in the folder."""
        # Another descriptor: listing moves an offset that threads and forked processes would share.
        descriptor = os.open(".", _FOLDER_FLAGS, dir_fd=self.descriptor)
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)

    def kind(self, name: str) -> str | None:
        """Return the kind of what has a name: FILE, FOLDER, or another in words; None where there is nothing."""
        try:
            return _kind_of(self.state(name))
        except FileNotFoundError:
            return None

    def has_file(self, name: str) -> bool:
        """Say whether there is a regular file of this name."""
        return self.kind(name) == FILE

    def size_bytes(self, name: str) -> int:
        """Return the size of a regular file."""
        state = self.state(name)
        self._require(FILE, state, name)
        return state.st_size

    def state(self, name: str) -> os.stat_result:
        """Return what the system says of a name; of a link, of the link itself."""
        return os.stat(_checked(name), dir_fd=self.descriptor, follow_symlinks=False)

    def _require(self, kind: str, state: os.stat_result, name: str) -> None:
        found = _kind_of(state)
        if found != kind:
            raise self._unfit(_CODES.get(found, errno.EINVAL), name, f"is {found}, where {kind} is due")

    def _unfit(self, code: int, name: str, why: str) -> UnfitFileError:
        return UnfitFileError(code, f"{name} {why}", str(self / name))

    def folder(self, name: str) -> Folder:
        """Open a folder in this one."""
        self._require(FOLDER, self.state(name), name)
        descriptor = os.open(name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=self.descriptor)
        return Folder(descriptor, self.path / name, self)

    def make_folder(self, name: str, *, exist_ok: bool = False, mode: int = 0o777) -> Folder:
        """Make a folder in this one and open it. exist_ok: open one that is there. mode: of a new one, less umask."""
        try:
            os.mkdir(_checked(name), mode, dir_fd=self.descriptor)
        except FileExistsError:
            if not exist_ok:
                raise
        return self.folder(name)

    def open_file(self, name: str) -> BinaryIO:
        """Open a regular file for reading."""
        # Looked at before, since opening a device may do something, and after, since it may be another by then.
        self._require(FILE, self.state(name), name)
        return self._open(name, os.O_RDONLY, "rb")

    def create_file(self, name: str, *, replace: bool = False, permissions: int = 0o666) -> BinaryIO:
        """Make a file that is not there yet and open it for writing, and for reading.

        replace: remove one of that name before. permissions: mode bits, before the umask (default: readable by all).
        """
        if replace:
            self.remove_file(name, missing_ok=True)
        return self._open(_checked(name), os.O_RDWR | os.O_CREAT | os.O_EXCL, "w+b", permissions)

    def open_or_create(self, name: str) -> int:
        """Return the descriptor, to read and write, of a regular file that is made where there is none.

        A file that has another name elsewhere is refused: what is written to it would be written there.
        """
        with suppress(FileNotFoundError):
            self._require_alone(self.state(name), name)
        descriptor = os.open(_checked(name), os.O_RDWR | os.O_CREAT | _FILE_FLAGS, 0o644, dir_fd=self.descriptor)
        try:
            self._require_alone(os.fstat(descriptor), name)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _require_alone(self, state: os.stat_result, name: str) -> None:
        self._require(FILE, state, name)
        if state.st_nlink > 1:
            raise self._unfit(errno.EMLINK, name, f"is a hard link, one of {state.st_nlink} names of a file")
        if state.st_uid not in (os.geteuid(), os.fstat(self.descriptor).st_uid):
            raise self._unfit(errno.EPERM, name, "belongs to another user")

    def _open(self, name: str, flags: int, mode: str, permissions: int = 0o666) -> BinaryIO:
        descriptor = os.open(name, flags | _FILE_FLAGS, permissions, dir_fd=self.descriptor)
        try:
            self._require(FILE, os.fstat(descriptor), name)
            return os.fdopen(descriptor, mode)  # type: ignore[return-value]
        except BaseException:
            os.close(descriptor)
            raise

    def rename(self, name: str, new: str, *, to: Folder | None = None) -> None:
        """Give a file or folder another name, in this folder or another; a file of that name is replaced."""
        target = self if to is None else to
        os.rename(_checked(name), _checked(new), src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def move(self, to: Folder, name: str) -> None:
        """Move this folder, which was opened through the one above it, into another under a name."""
        assert self._parent is not None
        self._parent.rename(self.name, name, to=to)

    def remove_file(self, name: str, *, missing_ok: bool = False) -> None:
        """Remove a name that is no folder; of a link the link, not what it leads to."""
        try:
            os.unlink(_checked(name), dir_fd=self.descriptor)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""
        os.rmdir(_checked(name), dir_fd=self.descriptor)

    def remove_tree(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it, as far as that can be done. Raises nothing."""
        with suppress(OSError):
            self._remove_tree(name, DEEPEST)

    def _remove_tree(self, name: str, levels: int) -> None:
        if self.kind(name) != FOLDER:
            self.remove_file(name, missing_ok=True)
            return
        if levels:
            inner = self.folder(name)
            for each in inner.names():
                with suppress(OSError):
                    inner._remove_tree(each, levels - 1)
            inner.close()
        self.remove_folder(name)

    def sync(self) -> None:
        """Make renames and new names in the folder durable."""
        os.fsync(self.descriptor)


@dataclass(frozen=True, slots=True)
class FileAt:
    """A name in a folder, of a file that is there or will be."""

    folder: Folder
    name: str

    @property
    def path(self) -> Path:
        """Its path, for messages."""
        return self.folder.path / self.name

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> BinaryIO:
        """Open a regular file for reading."""
        return self.folder.open_file(self.name)

    def create(self, *, replace: bool = False, permissions: int = 0o666) -> BinaryIO:
        """Make a file and open it for writing. replace, permissions: as for `Folder.create_file`."""
        return self.folder.create_file(self.name, replace=replace, permissions=permissions)

    def remove(self, *, missing_ok: bool = False) -> None:
        """Remove the name."""
        self.folder.remove_file(self.name, missing_ok=missing_ok)

    def link(self, to: FileAt) -> None:
        """Give a regular file a second name."""
        self.folder.size_bytes(self.name)  # which refuses all other kinds
        source, target = self.folder.descriptor, to.folder.descriptor
        os.link(self.name, to.name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)

    def beside(self, name: str) -> FileAt:
        """Return another name in the same folder."""
        return FileAt(self.folder, name)

    def rename(self, name: str) -> None:
        """Give the file another name in its folder; a file of that name is replaced."""
        self.folder.rename(self.name, name)


def file_at(place: Path | FileAt) -> FileAt:
    """Return a name in an open folder as it is, or open the folder of a path.

    The last part of the path is not followed.
    """
    return place if isinstance(place, FileAt) else FileAt(Folder.open(place.parent), place.name)


def refuse_link(path: Path) -> None:
    """Raise LsrError where a link is in the place of what this program keeps under a name of its choice."""
    if path.is_symlink():
        raise LsrError(f"{path} is a link, which is not followed: remove it")


def _kind_of(state: os.stat_result) -> str:
    return next((kind for of, kind in _KINDS if of(state.st_mode)), "a device")


def _checked(name: str) -> str:
    """Return a name that can't lead out of a folder. Raises OSError for others."""
    if "/" in name or name in ("", ".", ".."):
        raise OSError(errno.EINVAL, f"{name!r} is no name of a file", name)
    return name
