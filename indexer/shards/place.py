"""The folder of a set while one writer holds it: its lock, its clean-up, and the commit of a generation."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from lsr.errors import COMMITTED, IndexDamagedError, IndexExistsError, IndexMissingError, LsrError, UsageError
from lsr.indexer.shards.manifest import (
    ASIDE,
    SHARD,
    SetManifest,
    ShardInfo,
    manifest_checksum,
    read_set,
    set_generations,
    set_name,
    write_set,
)
from lsr.indexer.shards.places import most_positions
from lsr.indexer.storage.generations import (
    SCRATCH,
    SCRATCH_PREFIX,
    generations,
    names_in,
    remove_leftovers,
    retire_file,
)
from lsr.indexer.storage.manifest import LAST_GENERATION, Manifest, manifest_path
from lsr.indexer.write.transaction import explained, make_folders, refuse_file, remove_empty
from lsr.indexer.write.writer import now
from lsr.io.folder import FOLDER, Folder
from lsr.io.writer_lock import NAME as LOCK_NAME
from lsr.io.writer_lock import writer_lock
from lsr.version import __version__


class SetPlace:
    """A set's folder while one writer holds it. A context manager; leaving it releases the lock.

    root: the open folder; scratch: one in it, for shards that aren't finished. generation: the one that is made.
    Raises IndexLockedError if another writer is at it, LsrError if it can't be written to.
    """

    def __init__(self, path: Path, *, is_new: bool, overwrite: bool = False) -> None:
        """Lock a set's folder. is_new: a set is begun. overwrite: it may take the place of one."""
        self.path = path
        self.is_committed = False
        self._stack = ExitStack()
        try:
            with explained(path):
                if is_new:
                    _refuse_others(path, overwrite=overwrite)
                    self._stack.callback(remove_empty, make_folders(path))
                self.root = Folder.open(path)
                self._stack.enter_context(writer_lock(self.root))
                self._stack.callback(self._tidy)
                if is_new:
                    _refuse_others(path, overwrite=overwrite)
                before = set_generations(self.root)
                self.generation = before[-1] + 1 if before else 1
                if self.generation > LAST_GENERATION:
                    raise LsrError(f"the set at {path} has had {LAST_GENERATION:,} generations, the most there can be")
                self._tidy()
                name = f"{SCRATCH_PREFIX}{secrets.token_hex(6)}"
                self.scratch = self.root.make_folder(name)
                self._stack.callback(self.root.remove_tree, name)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> SetPlace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and self.is_committed:
            error.add_note(COMMITTED)
        self.close()

    def close(self) -> None:
        """Take back what was not committed, and release the lock."""
        self._stack.close()

    def shard_name(self, number: int) -> str:
        """Return the name of a new shard."""
        return f"shard-{self.generation:08d}-{number:04d}"

    def commit(
        self, shards: Mapping[str, Manifest], *, partition: str, scale: float, next_position: int
    ) -> SetManifest:
        """Make a generation of these shards, by name, visible."""
        infos = tuple(
            ShardInfo(
                name, manifest.generation, manifest_checksum(self.root.folder(name), manifest.generation),
                manifest.n_docs,
            )
            for name, manifest in shards.items()
        )  # fmt: skip
        n_rows = sum(manifest.n_positions for manifest in shards.values())
        if next_position > most_positions(n_rows):
            raise LsrError(
                f"the set at {self.path} has given {next_position:,} positions for {n_rows:,} documents that are "
                "left, more than a set may have: index again"
            )
        manifest = SetManifest(self.generation, now(), __version__, partition, scale, next_position, infos)
        self.root.sync()
        try:
            write_set(self.root, manifest)
        finally:  # an interruption may come after the rename
            self.is_committed = self.root.has_file(set_name(self.generation))
        return manifest

    def _tidy(self) -> None:
        """Remove what no generation needs; a shard's generations that its set doesn't name were never visible."""
        with suppress(OSError, IndexDamagedError, IndexMissingError):
            for name in names_in(self.root):
                if ASIDE.fullmatch(name):
                    self.root.remove_file(name, missing_ok=True)
                elif SCRATCH.fullmatch(name):
                    self.root.remove_tree(name)
            found = set_generations(self.root)
            held = [generation for generation in found[:-1] if not retire_file(self.root, set_name(generation))]
            kept = [read_set(self.root, generation) for generation in (*held, *found[-1:])]
            newest = {info.name: info.generation for manifest in kept for info in manifest.shards}
            for name in names_in(self.root):
                if SHARD.fullmatch(name) and self.root.kind(name) == FOLDER:
                    self._tidy_shard(name, newest.get(name))
            if not found:
                self.root.remove_file(LOCK_NAME, missing_ok=True)

    def _tidy_shard(self, name: str, generation: int | None) -> None:
        """Remove a shard that no set names, or what follows the generation that its set names."""
        if generation is None:
            self.root.remove_tree(name)
            return
        shard = self.root.folder(name)
        for later in generations(shard):
            if later > generation:
                shard.remove_file(manifest_path(shard.path, later).name, missing_ok=True)
        remove_leftovers(shard)


def _refuse_others(path: Path, *, overwrite: bool) -> None:
    """Raise UsageError for a folder that holds anything but a set, IndexExistsError for a set and not `overwrite`."""
    refuse_file(path)
    names = names_in(path)
    if not names or names == [LOCK_NAME]:
        return
    if generations(path):
        raise IndexExistsError(
            f"{path} is a single index, which a set can't take the place of: remove it, or choose another --index"
        )
    found = set_generations(path)
    ours = (ASIDE, SHARD, SCRATCH)
    foreign = [
        name for name in sorted(names)
        if name != LOCK_NAME and not any(pattern.fullmatch(name) for pattern in ours)
        and name not in map(set_name, found)
    ]  # fmt: skip
    if foreign:
        raise UsageError(f"{path} is a folder with other things in it ({foreign[0]}); choose another --index")
    if found and not overwrite:
        raise IndexExistsError(
            f"there is a set at {path} already; --overwrite replaces it, 'lsr add' adds to it, --index DIR makes "
            "another"
        )
