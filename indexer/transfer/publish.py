"""An index in an object store: its files first, last the one that makes a generation visible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lsr.errors import IndexExistsError
from lsr.indexer.shards.manifest import set_name
from lsr.indexer.storage.files import FileInfo
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import manifest_bytes, manifest_path
from lsr.indexer.transfer.object_store import ExistsError, ObjectStore
from lsr.io.folder import FileAt, Folder
from lsr.io.progress import NoProgress, Progress


@dataclass(frozen=True, slots=True)
class Published:
    """The counts of a publication. n_bytes: sent now; files that were there in full are not sent again."""

    generation: int
    n_docs: int
    n_bytes: int


def publish_index(path: str | Path, url: str, *, progress: Progress | None = None) -> Published:
    """Put the newest generation of an index, or of a set, under a URL.

    All who open the URL meanwhile see the generation before, or this one. Raises IndexExistsError where the store has
    this generation, with other content, or a newer one; LsrError where it refuses.
    """
    store = ObjectStore(url, to_write=True)
    listener = progress or NoProgress()
    with StoredIndex.open(path) as index:
        generation = index.manifest.generation
        last = set_name(generation) if index.shards else manifest_path(index.path, generation).name
        content = _visible(index, last)
        names = [name for name in store.names() if _is_generation(name)]
        if last in names:
            return _published_already(store, index, last, content)
        if newer := [name for name in names if name > last or name[0] != last[0]]:
            raise IndexExistsError(f"{store.name} has {newer[-1]}: give it another place, or publish what follows that")
        there = {entry.key: entry.size_bytes for entry in store.entries()}
        files = list(_files(index))
        due = [(key, file, info) for key, file, info in files if there.get(key) != info.size_bytes]
        listener.start("publishing", sum(info.size_bytes for _, _, info in due), "B")
        for key, file, info in due:
            with file.open() as opened:
                store.put(key, opened)
            listener.advance(info.size_bytes)
        for shard in index.shards:
            key = f"{shard.path.name}/{manifest_path(shard.path, shard.manifest.generation).name}"
            store.put(key, _manifest_of(shard))
        try:
            store.create(last, content)
        except ExistsError as error:
            raise IndexExistsError(f"{store.name}: another writer has put {last} there in the meantime") from error
        return Published(generation, len(index), sum(info.size_bytes for _, _, info in due))


def _published_already(store: ObjectStore, index: StoredIndex, last: str, content: bytes) -> Published:
    if store.read(last) != content:
        raise IndexExistsError(f"{store.name} has another {last}: give this index another place")
    return Published(index.manifest.generation, len(index), 0)


def _is_generation(name: str) -> bool:
    return name.startswith(("manifest-", "set-")) and name.endswith(".json")


def _visible(index: StoredIndex, name: str) -> bytes:
    """Return the content of the file that makes the generation visible, without places on this machine."""
    if not index.shards:
        return manifest_bytes(replace(index.manifest, sources=None))
    return _read(Folder.open(index.path) / name)


def _manifest_of(shard: StoredIndex) -> bytes:
    return _read(shard.folder / manifest_path(shard.path, shard.manifest.generation).name)


def _read(file: FileAt) -> bytes:
    with file.open() as opened:
        return opened.read()


def _files(index: StoredIndex) -> Iterator[tuple[str, FileAt, FileInfo]]:
    """Yield the files of all parts, with their keys."""
    for member in index.shards or (index,):
        prefix = f"{member.path.name}/" if index.shards else ""
        manifest = member.manifest if index.shards else replace(member.manifest, sources=None)
        for part in manifest.parts:
            if not part.files:
                continue
            folder = part.open(member.folder)
            for name, info in part.files.items():
                yield f"{prefix}{part.kind}/{part.id}/{name}", folder / name, info
