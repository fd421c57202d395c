"""An index out of an object store: missing files come into the user's cache, checked as they come.

Its files are immutable and named by part, so a generation costs what it has new. What lies in the cache is an index
like any other, opened by mmap.
"""

from __future__ import annotations

import hashlib
import logging
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import IndexDamagedError, IndexMissingError
from lsr.indexer.shards.manifest import parse_set
from lsr.indexer.shards.place import SetPlace
from lsr.indexer.storage.generations import remove_leftovers
from lsr.indexer.storage.manifest import Manifest, Part, manifest_path, parse_manifest, write_last
from lsr.indexer.transfer.object_store import ObjectStore
from lsr.io.atomic import atomic_file
from lsr.io.cache import cache_home
from lsr.io.folder import FILE, Folder
from lsr.io.progress import NoProgress, Progress
from lsr.io.writer_lock import writer_lock

log = logging.getLogger(__name__)

FOLDER = "remote"
_GENERATION = re.compile(r"(manifest|set)-(\d{8})\.json", re.ASCII)


@dataclass(frozen=True, slots=True)
class Downloaded:
    """The place of a downloaded index, and the bytes that came now."""

    path: Path
    n_bytes: int


def download_index(url: str, *, progress: Progress | None = None) -> Downloaded:
    """Bring the newest generation of an index or a set into the cache.

    Raises IndexMissingError where there is none, IndexDamagedError for what is not as its manifest says, LsrError where
    the store refuses.
    """
    store = ObjectStore(url)
    found = [match for name in store.names() if (match := _GENERATION.fullmatch(name))]
    if not found:
        raise IndexMissingError(f"no index at {store.name}: 'lsr publish' puts one there")
    last = max(found, key=lambda match: int(match[2]))
    home = cache_home() / FOLDER
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = Folder.open(home).make_folder(hashlib.sha256(store.name.encode()).hexdigest()[:32], exist_ok=True)
    if place.has_file(last[0]):  # written last, so all is there
        return Downloaded(place.path, 0)
    with writer_lock(place):
        taken = _Download(store, progress or NoProgress())
        content = store.read(last[0])
        if last[1] == "set":
            found_set = parse_set(content, place.path / last[0])
            _require_generation(store, last[0], found_set.generation)
            for shard in found_set.shards:
                name = manifest_path(Path(), shard.generation).name
                inner = place.make_folder(shard.name, exist_ok=True)
                raw = store.read(f"{shard.name}/{name}")
                if zlib.crc32(raw) != shard.manifest_crc32:
                    raise IndexDamagedError(f"{store.name}/{shard.name}/{name}: not the one that its set names")
                inner_manifest = parse_manifest(raw, inner.path / name)
                _require_generation(store, f"{shard.name}/{name}", inner_manifest.generation)
                taken.index(inner_manifest, raw, inner, f"{shard.name}/")
            write_last(place, last[0], content)
        else:
            manifest = parse_manifest(content, place.path / last[0])
            _require_generation(store, last[0], manifest.generation)
            taken.index(manifest, content, place, "")
            remove_leftovers(place)
    if last[1] == "set":
        SetPlace(place.path, is_new=False).close()  # which removes what no generation needs
    log.info(f"downloaded {taken.n_bytes:,} bytes of {store.name} into {place.path}")
    return Downloaded(place.path, taken.n_bytes)


def _require_generation(store: ObjectStore, key: str, generation: int) -> None:
    """Raise IndexDamagedError unless an object is of the generation that its name says."""
    if not key.endswith(f"-{generation:08d}.json"):
        raise IndexDamagedError(f"{store.name}/{key}: it is of generation {generation}; publish again")


def download_shard(url: str, name: str, generation: int, crc32: int) -> Path:
    """Bring one shard of a set into the cache, and return the path of that set of one.

    crc32: of the file of the shard's manifest. Raises as `download_index`.
    """
    store = ObjectStore(url)
    home = cache_home() / FOLDER
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = hashlib.sha256(f"{store.name} shard {name}".encode()).hexdigest()[:32]
    place = Folder.open(home).make_folder(key, exist_ok=True)
    inner = place.make_folder(name, exist_ok=True)
    file = manifest_path(inner.path, generation).name
    if inner.has_file(file):
        return place.path
    with writer_lock(place):
        raw = store.read(f"{name}/{file}")
        if zlib.crc32(raw) != crc32:
            raise IndexDamagedError(f"{store.name}/{name}/{file}: not the one that its set names")
        taken = _Download(store, NoProgress())
        manifest = parse_manifest(raw, inner.path / file)
        _require_generation(store, file, manifest.generation)
        taken.index(manifest, raw, inner, f"{name}/")
    log.info(f"downloaded {taken.n_bytes:,} bytes of {store.name}/{name} into {place.path}")
    return place.path


class _Download:
    """Files that come from a store. n_bytes: so far."""

    def __init__(self, store: ObjectStore, progress: Progress) -> None:
        self._store = store
        self._progress = progress
        self.n_bytes = 0

    def index(self, manifest: Manifest, raw: bytes, place: Folder, prefix: str) -> None:
        """Bring the files of an index that are missing, then its manifest."""
        parts = [part for part in manifest.parts if part.files]
        self._progress.start("downloading", sum(_size(part) for part in parts), "B")
        for part in parts:
            folder = place.make_folder(part.kind, exist_ok=True).make_folder(part.id, exist_ok=True)
            for name, info in part.files.items():
                if folder.kind(name) == FILE and folder.size_bytes(name) == info.size_bytes:
                    self._progress.advance(info.size_bytes)
                else:
                    self._file(f"{prefix}{part.kind}/{part.id}/{name}", folder, name, info.size_bytes, info.crc32)
        write_last(place, manifest_path(place.path, manifest.generation).name, raw)

    def _file(self, key: str, folder: Folder, name: str, size_bytes: int, crc32: int) -> None:
        crc = size = 0
        with atomic_file(folder / name) as file:
            for piece in self._store.pieces(key):
                crc, size = zlib.crc32(piece, crc), size + len(piece)
                if size > size_bytes:
                    break
                file.write(piece)
                self._progress.advance(len(piece))
                self.n_bytes += len(piece)
            if (size, crc) != (size_bytes, crc32):
                raise IndexDamagedError(
                    f"{self._store.name}/{key}: not what its manifest says (size or checksum differs); publish again"
                )


def _size(part: Part) -> int:
    return sum(info.size_bytes for info in part.files.values())
