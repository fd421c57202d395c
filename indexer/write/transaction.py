"""The transaction of a writer: its lock, a scratch folder, and the moves of finished parts to their place.

All that a writer made and no generation names is removed when it ends, whatever ends it.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lsr.errors import COMMITTED, IndexDamagedError, IndexExistsError, LsrError, UsageError
from lsr.indexer.integrity.damage import lack_of
from lsr.indexer.shards.manifest import SHARD, is_set
from lsr.indexer.storage.files import FileInfo, checksum
from lsr.indexer.storage.generations import PART_KINDS, SCRATCH_PREFIX, generations, is_ours, names_in, remove_leftovers
from lsr.indexer.storage.manifest import LAST_GENERATION, Manifest, Part, manifest_path, write_manifest
from lsr.io.folder import Folder
from lsr.io.writer_lock import NAME as LOCK_NAME
from lsr.io.writer_lock import writer_lock

_FREE = "free some space, or choose another place with --index"
_ALLOW = "change its permissions, or choose another place with --index"
_LOCKS = "its file system has no locks (flock), without which two writers could meet: put the index on another"
_REMEDIES = {
    errno.ENOSPC: _FREE, errno.EDQUOT: _FREE, errno.EACCES: _ALLOW, errno.EPERM: _ALLOW,
    errno.ENOLCK: _LOCKS, errno.ENOTSUP: _LOCKS, errno.ENOSYS: _LOCKS,
}  # fmt: skip


@contextmanager
def explained(path: Path, place: Workplace | None = None) -> Iterator[None]:
    """Turn an error of the operating system into one that says what became of the index, and the remedy.

    place: the transaction; once it has committed something, that is what the error says.
    """
    try:
        yield
    except OSError as error:
        lacking = lack_of(error, path)
        remedy = _REMEDIES.get(error.errno or 0, "choose another place with --index")
        if lacking is not None:
            remedy = str(lacking).rpartition("; ")[2]
        state = "what was there is unchanged" if place is None or not place.n_committed else COMMITTED
        raise LsrError(f"can't write the index at {path}: {error.strerror or error}; {state}; {remedy}") from error


class Workplace:
    """An index's folder while one writer holds it. A context manager; leaving it releases the lock.

    root: the open folder; scratch: one in it, for what isn't finished. n_committed: generations made so far. An
    exception that leaves it after a commit has COMMITTED among its notes.

    Raises IndexLockedError if another writer is at it, LsrError if it can't be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._n_parts = 0
        self.n_committed = 0
        self._owner = os.getpid()

    @classmethod
    def for_new(cls, path: Path, *, overwrite: bool, inside: Folder | None = None) -> Workplace:
        """Begin an index at `path`, or replace the one there.

        inside: the open folder that it is made in, where no path is trusted: the scratch of a set. Raises
        IndexExistsError if there is an index and not `overwrite`, UsageError if the folder holds other things.
        """
        place = cls(path)
        if inside is not None:
            with place._beginning():
                inside.make_folder(path.name)
                place._lock(inside)
                place._make_scratch()
            return place
        _refuse_shard(path)
        with place._beginning():
            _refuse_foreign(path)
            _refuse_existing(path, overwrite)
            place._stack.callback(remove_empty, made := make_folders(path))
            for folder in reversed(made):  # a generation in a folder that is lost is lost
                Folder.open(folder.parent).sync()
            place._lock()
            _refuse_existing(path, overwrite)
            place._make_scratch()
        return place

    @classmethod
    def for_existing(cls, path: Path, *, of_set: bool = False) -> Workplace:
        """Lock the index at `path`, which the caller has seen to exist.

        of_set: the caller changes the set that it is a shard of, and so may change it. Raises UsageError for a shard
        otherwise, since its set would be broken.
        """
        place = cls(path)
        if not of_set:
            _refuse_shard(path)
        with place._beginning():
            place._lock(Folder.open(path.parent) if of_set else None)  # a set's shard is no link
            place._make_scratch()
        return place

    @contextmanager
    def _beginning(self) -> Iterator[None]:
        try:
            with explained(self.path, self):
                yield
        except BaseException:
            self.close()
            raise

    def _lock(self, inside: Folder | None = None) -> None:
        self.root = Folder.open(self.path) if inside is None else inside.folder(self.path.name)
        self._stack.callback(self.root.close)
        self._stack.enter_context(writer_lock(self.root))
        self._stack.callback(self._tidy)

    def _make_scratch(self) -> None:
        remove_leftovers(self.root)
        name = f"{SCRATCH_PREFIX}{secrets.token_hex(6)}"
        self.scratch = self.root.make_folder(name)
        self._stack.callback(self.root.remove_tree, name)
        before = generations(self.root)
        self._begin_generation(before[-1] + 1 if before else 1)
        self._require_number()

    def _begin_generation(self, generation: int) -> None:
        self.generation = generation
        self._prefix = f"{generation:08d}-{secrets.token_hex(4)}"
        self._n_parts = 0

    def _require_number(self) -> None:
        if self.generation > LAST_GENERATION:
            raise LsrError(
                f"the index at {self.path} has had {LAST_GENERATION:,} generations, the most there can be: 'lsr "
                "export' and 'lsr import' make an index of it that begins with the first"
            )

    def __enter__(self) -> Workplace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and self.n_committed:
            error.add_note(COMMITTED)
        self.close()

    def close(self) -> None:
        """Remove what was not committed and release the lock; in a forked process, leave both to its parent."""
        if os.getpid() == self._owner:
            self._stack.close()
        else:
            self._stack.pop_all()

    def _tidy(self) -> None:
        """Remove what was not committed, and all our folders where there is no index at all."""
        with suppress(OSError, IndexDamagedError):
            remove_leftovers(self.root)
            if not generations(self.root):
                for kind in PART_KINDS:
                    with suppress(OSError):
                        self.root.remove_folder(kind)
                self.root.remove_file(LOCK_NAME, missing_ok=True)

    def folder(self, name: str) -> Folder:
        """Return a new folder in the scratch."""
        return self.scratch.make_folder(name)

    def part_id(self) -> str:
        """Return an id that no other part has."""
        self._n_parts += 1
        return f"{self._prefix}-{self._n_parts - 1}"

    def keep(self, kind: str, folder: Folder, files: Mapping[str, FileInfo]) -> Part:
        """Move a finished folder to its place as a part. files: its files, each synced."""
        part = Part(kind, self.part_id(), files)
        target = self.root.make_folder(kind, exist_ok=True)
        folder.sync()
        folder.move(target, part.id)
        target.sync()
        return part

    def save(self, kind: str, save: Callable[[Folder], Mapping[str, FileInfo]]) -> Part:
        """Let `save` write to a new folder, and keep it as a part."""
        folder = self.folder(f"{kind}-{self._n_parts}")
        return self.keep(kind, folder, save(folder))

    def commit(self, manifest: Manifest) -> None:
        """Make a generation visible; what is made from now on is of the next one."""
        self._require_number()
        try:
            write_manifest(self.root, manifest)
        except BaseException:  # an interruption may come after the rename
            self.n_committed += self.root.has_file(manifest_path(self.path, manifest.generation).name)
            raise
        self.n_committed += 1
        self._begin_generation(self.generation + 1)


def synced_files(folder: Folder) -> dict[str, FileInfo]:
    """Sync the files that somebody else wrote to a folder; return what a manifest says of them."""
    files = {}
    for name in sorted(folder.names()):
        with folder.open_file(name) as file:
            os.fsync(file.fileno())
        files[name] = checksum(folder / name)
    return files


def refuse_file(path: Path) -> None:
    """Raise UsageError for a file in the place of a folder."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file, not a folder; choose another --index")


def _refuse_foreign(path: Path) -> None:
    """Raise UsageError for a folder that holds what no writer made."""
    refuse_file(path)
    names = names_in(path)
    if not names:
        return
    folder = Folder.open(path)
    foreign = sorted(name for name in names if name != LOCK_NAME and not is_ours(folder, name))
    # A folder `segments` alone may be anything; beside a lock or a manifest it is ours.
    ours = LOCK_NAME in names or generations(folder)
    if not ours or foreign:
        raise UsageError(
            f"{path} is a folder with other things in it ({(foreign or names)[0]}); choose another --index"
        )


def _refuse_shard(path: Path) -> None:
    if SHARD.fullmatch(path.absolute().name) and is_set(path.absolute().parent):
        raise UsageError(f"{path} is a shard of the set at {path.parent}: change the set, by --index {path.parent}")


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if generations(path) and not overwrite:
        raise IndexExistsError(
            f"there is an index at {path} already; --overwrite replaces it, 'lsr add' adds to it, "
            "--index DIR makes another"
        )


def make_folders(path: Path) -> list[Path]:
    """Make a folder and those above it; return those that were made, the innermost first."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    return missing


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders as far as they are empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
