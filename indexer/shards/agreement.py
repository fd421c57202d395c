"""Agreement of the shards of a set, without which a search would not be that of one index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lsr.errors import IndexDamagedError, IndexMissingError
from lsr.indexer.integrity.damage import REMEDY
from lsr.indexer.shards.manifest import SetManifest, ShardInfo, manifest_checksum
from lsr.indexer.storage.generations import generations
from lsr.indexer.storage.manifest import Manifest
from lsr.io.folder import Folder
from lsr.types import MissingShard

T = TypeVar("T")


def vocabulary_bytes(manifest: Manifest) -> int:
    """Return the size of an index's vocabulary: of two that agree, the larger one continues the other."""
    return sum(info.size_bytes for info in manifest.vocabulary.files.values())


def check_agreement(path: Path, scale: float, shards: Mapping[str, Manifest]) -> None:
    """Raise IndexDamagedError, naming two shards and what they differ in, unless all agree.

    path: of the set, for the message. scale: of the set. shards: manifests by the shards' names. Vocabularies of one
    size are compared by their checksums; others not term by term, which `lsr check` does: those of a set's writer
    continue each other, and a checksum pins each shard's manifest.
    """
    (first, leader), *others = shards.items()
    if leader.scale != scale:
        raise IndexDamagedError(f"{path}: the set has the scale {scale}, its shard {first} {leader.scale}; {REMEDY}")
    due = _agreed(leader)
    for name, manifest in others:
        for what, value in _agreed(manifest).items():
            if value != due[what]:
                raise _disagreement(path, first, name, what)
    by_size: dict[int, tuple[str, Any]] = {}
    for name, manifest in shards.items():
        checksums = {file: info.crc32 for file, info in manifest.vocabulary.files.items()}
        other, known = by_size.setdefault(vocabulary_bytes(manifest), (name, checksums))
        if known != checksums:
            raise _disagreement(path, other, name, "vocabulary")


def _disagreement(path: Path, one: str, other: str, what: str) -> IndexDamagedError:
    return IndexDamagedError(f"{path}: the shards {one} and {other} don't agree on the {what}; {REMEDY}")


def _agreed(manifest: Manifest) -> dict[str, Any]:
    return {
        "encoder": _identity(manifest.encoder),
        "scale": manifest.scale,
        "dense vectors": None if manifest.dense is None else _identity(manifest.dense),
        "passages": manifest.passages,
        "statistics of the corpus": dict(manifest.statistics),
    }


def _identity(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of an encoder without what differs between the machines that it ran on."""
    return {name: value for name, value in description.items() if name != "runtime"}


def open_shards(
    folder: Folder, content: SetManifest, open_one: Callable[[Path, ShardInfo], T], partial: bool
) -> tuple[list[T], list[MissingShard]]:
    """Open the shards of a set, and say which are not opened, which `partial` allows all but the last of.

    open_one: opens the shard in a folder.
    """
    shards, missing = [], []
    for info in content.shards:
        try:
            shards.append(open_one(shard_folder(folder, info).path, info))
        except (IndexDamagedError, IndexMissingError) as error:
            if not partial:
                raise
            missing.append(MissingShard(info.name, info.n_docs, str(error)))
            reason = error
    if not shards:
        raise reason
    return shards, missing


def shard_folder(folder: Folder, info: ShardInfo) -> Folder:
    """Open the folder of a shard that has the generation, and the manifest, which its set names."""
    try:
        inner = folder.folder(info.name)
    except OSError as error:
        where = folder.path / info.name
        raise IndexDamagedError(f"{where}: a shard of the set is missing ({error.strerror}); {REMEDY}") from error
    if info.generation not in generations(inner):
        raise IndexDamagedError(
            f"{inner.path}: the set has its generation {info.generation}, which is no longer there: the shard was "
            f"changed by itself; {REMEDY}"
        )
    if manifest_checksum(inner, info.generation) != info.manifest_crc32:
        raise IndexDamagedError(f"{inner.path}: its manifest is another than the set was made with; {REMEDY}")
    return inner
