"""The manifest: one JSON file a generation, written last, that says what an index consists of."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lsr.errors import IndexDamagedError, IndexMissingError
from lsr.indexer.files import FileInfo, new_file, sync_folder

FORMAT = "lsr-index"
FORMAT_VERSION = 1
OLDEST_READABLE = 1
_NAME = re.compile(r"manifest-(\d{8})\.json")
_PART = re.compile(r"[0-9a-f-]{1,64}")
_FILE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")


@dataclass(frozen=True, slots=True)
class Part:
    """A folder of immutable files: `kind`/`id`/… below the index."""

    kind: str
    id: str
    files: Mapping[str, FileInfo]

    def folder(self, index: Path) -> Path:
        """Return where the part stands."""
        return index / self.kind / self.id


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A segment: its files and what is known of it without opening them."""

    part: Part
    n_docs: int
    n_postings: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One generation of an index.

    encoder: what `open_query_encoder` needs and a reader may want to know. scale: the weight that one
    impact stands for. n_clipped: weights beyond 255 · scale so far. statistics: of the corpus, where
    the encoder's weights depend on them.
    """

    generation: int
    created: str
    library_version: str
    encoder: Mapping[str, Any]
    scale: float
    n_clipped: int
    vocabulary: Part
    encoder_files: Part
    segments: tuple[SegmentInfo, ...]
    statistics: Mapping[str, float] = field(default_factory=dict)

    @property
    def n_docs(self) -> int:
        """Documents in all segments."""
        return sum(segment.n_docs for segment in self.segments)

    @property
    def n_postings(self) -> int:
        """Postings in all segments."""
        return sum(segment.n_postings for segment in self.segments)

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts of the generation."""
        return (self.vocabulary, self.encoder_files, *(segment.part for segment in self.segments))

    @property
    def size_bytes(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(info.size_bytes for part in self.parts for info in part.files.values())


def manifest_path(index: Path, generation: int) -> Path:
    """Return the path of a generation's manifest."""
    return index / f"manifest-{generation:08d}.json"


def generations(index: Path) -> list[int]:
    """Return the generations that stand in a folder, ascending; none if it isn't one."""
    if not index.is_dir():
        return []
    return sorted(int(match[1]) for name in os.listdir(index) if (match := _NAME.fullmatch(name)))


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")


def write_manifest(index: Path, manifest: Manifest) -> None:
    """Make a generation visible: written aside, synced, renamed."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
    content["crc32"] = zlib.crc32(_canonical(content))
    path = manifest_path(index, manifest.generation)
    aside = path.with_suffix(".json.tmp")
    aside.unlink(missing_ok=True)
    with new_file(aside) as file:
        file.write(_canonical(content))
    aside.rename(path)
    sync_folder(index)


def read_manifest(index: Path, generation: int | None = None) -> Manifest:
    """Read a generation's manifest, by default the last one's.

    Raises IndexMissingError if there is none, IndexDamagedError if it can't be trusted.
    """
    if generation is None:
        found = generations(index)
        if not found:
            raise IndexMissingError(f"no index at {index}: make one with 'lsr index CORPUS --index {index}'")
        generation = found[-1]
    path = manifest_path(index, generation)
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise IndexMissingError(f"no generation {generation} of the index at {index}") from None
    except (OSError, ValueError) as error:
        raise IndexDamagedError(f"{path}: not a readable manifest ({error}); restore it or index again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise IndexDamagedError(f"{path}: not a manifest of this program")
    version = content.get("format_version")
    if not isinstance(version, int) or not OLDEST_READABLE <= version <= FORMAT_VERSION:
        raise IndexDamagedError(
            f"{path}: format version {version}, but this program reads {OLDEST_READABLE} to {FORMAT_VERSION}; "
            "use a program of that version, or index again"
        )
    crc = content.pop("crc32", None)
    if crc != zlib.crc32(_canonical(content)):
        raise IndexDamagedError(f"{path}: its checksum does not fit; restore it from a copy, or index again")
    try:
        return _parse(content)
    except (KeyError, TypeError, ValueError) as error:
        raise IndexDamagedError(f"{path}: a field is missing or malformed ({error!r})") from error


def _parse(content: Mapping[str, Any]) -> Manifest:
    return Manifest(
        generation=int(content["generation"]),
        created=str(content["created"]),
        library_version=str(content["library_version"]),
        encoder=dict(content["encoder"]),
        scale=float(content["scale"]),
        n_clipped=int(content["n_clipped"]),
        vocabulary=_parse_part(content["vocabulary"]),
        encoder_files=_parse_part(content["encoder_files"]),
        segments=tuple(
            SegmentInfo(_parse_part(s["part"]), int(s["n_docs"]), int(s["n_postings"])) for s in content["segments"]
        ),
        statistics={name: float(value) for name, value in content["statistics"].items()},
    )


def _parse_part(content: Mapping[str, Any]) -> Part:
    """Parse a part; a name that could lead out of the index is refused."""
    kind, part_id = content["kind"], content["id"]
    if kind not in ("segments", "vocabulary", "encoder") or not _PART.fullmatch(part_id):
        raise ValueError(f"part {kind}/{part_id}")
    files = {}
    for name, info in content["files"].items():
        if not _FILE.fullmatch(name):
            raise ValueError(f"file {name}")
        files[name] = FileInfo(int(info["size_bytes"]), int(info["crc32"]))
    return Part(kind, part_id, files)
