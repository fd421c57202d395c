"""The generations of an index: listing them, holding one while it is read, removing those that nobody reads.

A reader holds a shared lock on the manifest of the generation that it opened. A writer removes an older
generation only once it gets the exclusive lock: its manifest first, then its parts.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lsr.errors import IndexDamagedError, IndexMissingError
from lsr.indexer.integrity.damage import unreadable
from lsr.indexer.storage.manifest import manifest_path, read_manifest
from lsr.io.folder import FILE, FOLDER, Folder

SCRATCH_PREFIX = "tmp-"
PART_KINDS = ("segments", "deletions", "vocabulary", "encoder", "dense", "sources")
_NAME = re.compile(r"manifest-(\d{8})\.json", re.ASCII)
_ASIDE = re.compile(r"manifest-\d{8}\.json\.tmp", re.ASCII)
SCRATCH = re.compile(SCRATCH_PREFIX + "[0-9a-f]{12}")
_PART = re.compile(r"\d{8,10}-[0-9a-f]{8}-\d{1,10}", re.ASCII)
"""The ids that writers give to parts. Manifests may name others; what is called otherwise is never removed."""
_TRIES = 1000


SETTLED_NS = 2_000_000_000
"""Age of a folder's last change from which its time shows the next one, by the coarsest clock."""


class FolderState(NamedTuple):
    """The identity of a folder and the time of its last change, which nobody can set (ctime)."""

    device: int
    inode: int
    changed_ns: int


def state_of_folder(path: Path) -> FolderState | None:
    """Return the state of a folder, None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  half the time of Path.stat
    except OSError:
        return None
    return FolderState(found.st_dev, found.st_ino, found.st_ctime_ns)


Stamp = tuple[int, ...]
"""The identity of a manifest's file: another index at the same path has another, whatever its generation."""


def stamp_of(state: os.stat_result) -> Stamp:
    """Return the identity of a file: its device, inode, size and time of change in nanoseconds."""
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


class Hold:
    """A hold that keeps a generation's files until it is released or garbage-collected.

    stamp: the identity of its manifest's file.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.stamp = stamp_of(os.fstat(descriptor))
        self.release = weakref.finalize(self, os.close, descriptor)


def open_folder(index: Path, *, follow: bool = True) -> Folder:
    """Open an index's folder. follow: its name may be that of a link, as a caller may give it, but no set or export.

    Raises IndexMissingError, IndexDamagedError.
    """
    try:
        return Folder.open(index) if follow else Folder.open(index.parent).folder(index.name)
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(index) from None
    except OSError as error:
        raise unreadable(error, index, remedy="check its permissions") from error


def names_in(index: Path | Folder) -> list[str]:
    """Return the names in a folder, none if it isn't one. Raises IndexDamagedError if it can't be read."""
    try:
        return Folder.of(index).names()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(error, index, remedy="check its permissions") from error


def generations(index: Path | Folder) -> list[int]:
    """Return the generations in a folder, ascending."""
    return sorted(int(match[1]) for name in names_in(index) if (match := _NAME.fullmatch(name)))


def is_ours(folder: Folder, name: str) -> bool:
    """Say whether a writer makes something of this name and kind at the top of an index (its lock apart)."""
    if name in PART_KINDS or SCRATCH.fullmatch(name):
        return folder.kind(name) == FOLDER
    return bool(_NAME.fullmatch(name) or _ASIDE.fullmatch(name)) and folder.kind(name) == FILE


def hold_newest(index: Path | Folder) -> tuple[int, Hold]:
    """Return the last generation, held. Raises IndexMissingError if there is none."""
    for _ in range(_TRIES):
        found = generations(index)
        if not found:
            raise _missing(Path(str(index)))
        hold = hold_generation(index, found[-1])
        if hold is not None:
            return found[-1], hold
        time.sleep(0.001)
    raise IndexDamagedError(f"{manifest_path(Path(str(index)), found[-1])}: locked by another program; end that one")


def hold_of(folder: Folder, generation: int | None) -> tuple[int, Hold]:
    """Return a generation, the newest by default, held. Raises IndexMissingError."""
    if generation is None:
        return hold_newest(folder)
    held = hold_generation(folder, generation)
    if held is None:
        raise IndexMissingError(f"no generation {generation} of the index at {folder.path}")
    return generation, held


def hold_generation(index: Path | Folder, generation: int) -> Hold | None:
    """Return a hold on a generation, or None if it isn't there, or just being removed."""
    return hold_file(index, manifest_path(Path(str(index)), generation).name)


def hold_file(index: Path | Folder, name: str) -> Hold | None:
    """Return a hold on a generation by the name of the file that makes it visible; see `hold_generation`."""
    path = Path(str(index)) / name
    try:
        with Folder.of(index).open_file(name) as file:
            hold = Hold(os.dup(file.fileno()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(error, path, remedy="check its permissions") from error
    try:
        fcntl.flock(hold.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        hold.release()
        return None
    except OSError:  # a file system without locks: the files are read without a hold
        return hold
    if os.fstat(hold.descriptor).st_nlink == 0:
        hold.release()
        return None
    return hold


def stamp_at(index: Path | Folder, generation: int) -> Stamp | None:
    """Return the identity of the file of a generation's manifest, None where there is none."""
    return stamp_of_file(index, manifest_path(Path(str(index)), generation).name)


def stamp_of_file(index: Path | Folder, name: str) -> Stamp | None:
    """Return the identity of a file by its name, None where there is none. Raises IndexDamagedError."""
    try:
        return stamp_of(Folder.of(index).state(name))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(error, index, remedy="check its permissions") from error


def _missing(index: Path) -> IndexMissingError:
    inner = index / ".lsr"
    if generations(inner):
        return IndexMissingError(f"no index at {index}, but there is one in it: --index {inner}")
    return IndexMissingError(f"no index at {index}: make one with 'lsr index CORPUS --index {index}'")


def remove_leftovers(index: Folder) -> None:
    """Remove what no generation needs: older generations that nobody reads, and what a killed writer left.

    To be called by the holder of the writer's lock, before and after its work. Nothing but what writers make
    is touched, by name and place: no link is followed. Where the newest manifest can't be read, only their scratch is.
    """
    for name in names_in(index):
        if _ASIDE.fullmatch(name):
            index.remove_file(name, missing_ok=True)
        elif SCRATCH.fullmatch(name):
            index.remove_tree(name)
    found = generations(index)
    try:
        manifests = [read_manifest(index, generation) for generation in found[-1:]]
        held = [generation for generation in found[:-1] if not _retire(index, generation)]
        manifests += [read_manifest(index, generation) for generation in held]
    except IndexDamagedError:
        return
    used = {(part.kind, part.id) for manifest in manifests for part in manifest.parts}
    for kind in PART_KINDS:
        with suppress(OSError):  # none is there, or it is none of ours: a link to a folder elsewhere
            folder = index.folder(kind)
            for name in folder.names():
                if _PART.fullmatch(name) and (kind, name) not in used:
                    folder.remove_tree(name)


def _retire(index: Folder, generation: int) -> bool:
    return retire_file(index, manifest_path(index.path, generation).name)


def retire_file(index: Folder, name: str) -> bool:
    """Remove the file that makes a generation visible and return True, or False if somebody holds it."""
    if not index.has_file(name):
        index.remove_file(name)
        return True
    with index.open_file(name) as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: then nobody could hold it either
            pass
        index.remove_file(name)
    return True
