"""The manifest of a set of shards: one JSON file a generation, written last, which names the shards' generations."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lsr.errors import IndexDamagedError, IndexMissingError, UsageError
from lsr.indexer.integrity.damage import REMEDY, unreadable
from lsr.indexer.storage.generations import names_in
from lsr.indexer.storage.manifest import (
    LARGEST_INDEX,
    LARGEST_MANIFEST,
    checked_bytes,
    checked_content,
    count,
    manifest_path,
    parsed,
    write_last,
)
from lsr.io.folder import Folder

FORMAT, FORMAT_VERSION = "lsr-set", 1
RANGE, HASH = PARTITIONS = ("range", "hash")
MOST_SHARDS = 1024
_NAME = re.compile(r"set-(\d{8})\.json", re.ASCII)
ASIDE = re.compile(r"set-\d{8}\.json\.tmp", re.ASCII)
SHARD = re.compile(r"shard-\d{8}-\d{4}", re.ASCII)
"""Names of shards: the generation that made them, and their number in it."""


@dataclass(frozen=True, slots=True)
class Partition:
    """The division of documents among shards.

    by: `range`, a part of the order of addition each; `hash`, by the hash of the doc_id. Raises UsageError for values
    outside their range.
    """

    shards: int
    by: str = RANGE

    def __post_init__(self) -> None:
        """Raise UsageError for a value outside its range."""
        if type(self.shards) is not int or not 1 <= self.shards <= MOST_SHARDS:
            raise UsageError(f"shards is {self.shards!r:.60}; it must be a whole number from 1 to {MOST_SHARDS:,}")
        if self.by not in PARTITIONS:
            raise UsageError(f"partition is {self.by!r:.60}; it must be {' or '.join(PARTITIONS)}")


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """A shard in one generation of its set.

    name: of its folder. manifest_crc32: CRC-32 of the file of its manifest, which thereby is the one that agreed with
    the others. n_docs: documents that are not deleted.
    """

    name: str
    generation: int
    manifest_crc32: int
    n_docs: int


@dataclass(frozen=True, slots=True)
class SetManifest:
    """One generation of a set.

    partition: one of PARTITIONS. scale: weight of one impact, in all shards. next_position: of the document that is
    added next, where documents are partitioned by hashes; else 0.
    """

    generation: int
    created: str
    library_version: str
    partition: str
    scale: float
    next_position: int
    shards: tuple[ShardInfo, ...]


def set_name(generation: int) -> str:
    """Return the name of the file of a set's generation."""
    return f"set-{generation:08d}.json"


def set_generations(index: Path | Folder) -> list[int]:
    """Return the generations of the set in a folder, ascending; none where it holds none."""
    return sorted(int(match[1]) for name in names_in(index) if (match := _NAME.fullmatch(name)))


def is_set(index: str | Path | Folder) -> bool:
    """Return whether a folder holds a set of shards."""
    return bool(set_generations(index if isinstance(index, Folder) else Path(index)))


def refuse_set(index: str | Path, what: str) -> None:
    """Raise UsageError where a path is that of a set. what: what single indexes alone can do, as a sentence's start."""
    if is_set(index):
        raise UsageError(f"{index} is a set of shards: {what} single indexes only; docs/SCALE.md says what sets can do")


def write_set(folder: Folder, manifest: SetManifest) -> None:
    """Make a generation of a set visible. Raises OSError, and then it is not visible."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
    write_last(folder, set_name(manifest.generation), checked_bytes(content))


def read_set(folder: Folder, generation: int) -> SetManifest:
    """Read a generation of a set. Raises IndexMissingError if there is none, IndexDamagedError for a malformed one."""
    path = folder.path / set_name(generation)
    manifest = parse_set(_bytes_of(folder, path), path)
    if manifest.generation != generation:
        raise IndexDamagedError(f"{path}: it is of generation {manifest.generation}; {REMEDY}")
    return manifest


def parse_set(data: bytes, path: Path) -> SetManifest:
    """Parse the file of a set's generation. path: of the file, for messages. Raises IndexDamagedError."""
    return parsed(checked_content(data, path, FORMAT, range(FORMAT_VERSION, FORMAT_VERSION + 1)), path, _parse)


def manifest_checksum(shard: Folder, generation: int) -> int:
    """Return the CRC-32 of the file of an index's manifest. Raises as `read_set`."""
    return zlib.crc32(_bytes_of(shard, manifest_path(shard.path, generation)))


def _bytes_of(folder: Folder, path: Path) -> bytes:
    try:
        with folder.open_file(path.name) as file:
            return file.read(LARGEST_MANIFEST + 1)
    except FileNotFoundError:
        raise IndexMissingError(f"{path} is not there") from None
    except OSError as error:
        raise unreadable(error, path, remedy="check its permissions") from error


def _parse(content: Mapping[str, Any]) -> SetManifest:
    shards = tuple(
        ShardInfo(
            str(shard["name"]), count(shard["generation"]), count(shard["manifest_crc32"]), count(shard["n_docs"])
        )
        for shard in content["shards"]
    )
    names = [shard.name for shard in shards]
    if not 1 <= len(names) <= MOST_SHARDS or len(set(names)) < len(names):
        raise ValueError(f"{len(names)} shards, or one twice")
    for name in names:
        if not SHARD.fullmatch(name):
            raise ValueError(f"shard {name!r:.60}")
    if content["partition"] not in PARTITIONS:
        raise ValueError(f"partition {content['partition']!r:.60}")
    if count(content["next_position"]) > LARGEST_INDEX:
        raise ValueError(f"next position {content['next_position']}")
    return SetManifest(
        generation=count(content["generation"]),
        created=str(content["created"]),
        library_version=str(content["library_version"]),
        partition=content["partition"],
        scale=float(content["scale"]),
        next_position=count(content["next_position"]),
        shards=shards,
    )
