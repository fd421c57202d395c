"""The generations of an index: which there are, holding one while it is read, and removing what nobody reads.

A reader holds a shared lock on the manifest of the generation that it opened. A writer removes an older
generation only once it gets the exclusive lock: its manifest first, then its parts.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
import weakref
from pathlib import Path

from lsr.errors import IndexDamagedError, IndexMissingError
from lsr.indexer.storage.manifest import PART_ID, manifest_path, read_manifest

SCRATCH_PREFIX = "tmp-"
PART_KINDS = ("segments", "deletions", "vocabulary", "encoder", "dense")
_NAME = re.compile(r"manifest-(\d{8})\.json")
_ASIDE = re.compile(r"manifest-\d{8}\.json\.tmp")
_SCRATCH = re.compile(SCRATCH_PREFIX + "[0-9a-f]{12}")
_TRIES = 1000


class Hold:
    """Keeps a generation's files in their place until it is released, or forgotten."""

    def __init__(self, descriptor: int) -> None:
        self.release = weakref.finalize(self, os.close, descriptor)


def names_in(index: Path) -> list[str]:
    """Return the names in a folder, none if it isn't one. Raises IndexDamagedError if it can't be read."""
    try:
        return os.listdir(index)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise IndexDamagedError(f"{index}: can't be read ({error.strerror or error}); check its permissions") from error


def generations(index: Path) -> list[int]:
    """Return the generations that stand in a folder, ascending."""
    return sorted(int(match[1]) for name in names_in(index) if (match := _NAME.fullmatch(name)))


def is_ours(name: str) -> bool:
    """Say whether a writer makes a file or folder of this name at the top of an index (its lock apart)."""
    return name in PART_KINDS or any(pattern.fullmatch(name) for pattern in (_NAME, _ASIDE, _SCRATCH))


def hold_newest(index: Path) -> tuple[int, Hold]:
    """Return the last generation, held. Raises IndexMissingError if there is none."""
    for _ in range(_TRIES):
        found = generations(index)
        if not found:
            raise _missing(index)
        hold = hold_generation(index, found[-1])
        if hold is not None:
            return found[-1], hold
        time.sleep(0.001)
    raise IndexDamagedError(f"{manifest_path(index, found[-1])}: locked by another program; end that one")


def hold_generation(index: Path, generation: int) -> Hold | None:
    """Return a hold on a generation, or None if it isn't there, or just being removed."""
    path = manifest_path(index, generation)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IndexDamagedError(f"{path}: can't be read ({error.strerror or error}); check its permissions") from error
    hold = Hold(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        hold.release()
        return None
    except OSError:  # a file system without locks: the files are read without a hold
        return hold
    if os.fstat(descriptor).st_nlink == 0:
        hold.release()
        return None
    return hold


def _missing(index: Path) -> IndexMissingError:
    inner = index / ".lsr"
    if generations(inner):
        return IndexMissingError(f"no index at {index}, but there is one in it: --index {inner}")
    return IndexMissingError(f"no index at {index}: make one with 'lsr index CORPUS --index {index}'")


def remove_leftovers(index: Path) -> None:
    """Remove what no generation needs: older generations that nobody reads, and what a killed writer left.

    To be called by the holder of the writer's lock, before and after its work. Nothing but what writers make
    is touched; where the newest manifest can't be read, only their scratch is.
    """
    for name in names_in(index):
        path = index / name
        if _ASIDE.fullmatch(name):
            path.unlink(missing_ok=True)
        elif _SCRATCH.fullmatch(name):
            shutil.rmtree(path, ignore_errors=True)
    found = generations(index)
    try:
        manifests = [read_manifest(index, generation) for generation in found[-1:]]
        held = [generation for generation in found[:-1] if not _retire(index, generation)]
        manifests += [read_manifest(index, generation) for generation in held]
    except IndexDamagedError:
        return
    used = {part.folder(index) for manifest in manifests for part in manifest.parts}
    for kind in PART_KINDS:
        for name in names_in(index / kind):
            folder = index / kind / name
            if PART_ID.fullmatch(name) and folder not in used:
                shutil.rmtree(folder, ignore_errors=True)


def _retire(index: Path, generation: int) -> bool:
    """Remove a generation's manifest and return True, or False if somebody holds it."""
    path = manifest_path(index, generation)
    with path.open("rb") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: then nobody could hold it either
            pass
        path.unlink()
    return True
