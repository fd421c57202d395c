"""The manifest: one JSON file a generation, written last, which lists all parts of an index."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from lsr.errors import IndexDamagedError, IndexMissingError, LsrError
from lsr.indexer.hybrid_tuning import HybridTuning
from lsr.indexer.integrity.damage import REMEDY, unreadable
from lsr.indexer.pruning import Pruning, recall_from_json
from lsr.indexer.storage.files import FileInfo, new_file
from lsr.io.folder import Folder

FORMAT = "lsr-index"
FORMAT_VERSION = 1
OLDEST_READABLE = 1
LAST_GENERATION = 99_999_999
"""Names of manifests have eight digits."""
LARGEST_MANIFEST = 1 << 24
"""Bytes of a manifest: that of 2³² documents has a few million."""
LARGEST_INDEX = (1 << 32) - 1
"""Documents in an index: a position has 32 bits."""
PART_ID = re.compile(r"[0-9a-f-]{1,64}")
_FILE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")


@dataclass(frozen=True, slots=True)
class Part:
    """A folder of immutable files: `kind`/`id`/… below the index."""

    kind: str
    id: str
    files: Mapping[str, FileInfo]

    def folder(self, index: Path) -> Path:
        """Return the path of the part."""
        return index / self.kind / self.id

    def open(self, index: Folder) -> Folder:
        """Open the part's folder. Raises IndexDamagedError where that can't be done, or it is reached by a link."""
        try:
            return index.folder(self.kind).folder(self.id)
        except OSError as error:
            where = self.folder(index.path)
            raise unreadable(error, where) from error

    def check_sizes(self, index: Folder, *, expected: Iterable[str] = ()) -> None:
        """Raise IndexDamagedError unless every file is there in the size that was written, and all `expected` ones."""
        for name in expected:
            if name not in self.files:
                raise IndexDamagedError(f"{self.folder(index.path)}: the manifest does not know its {name}; {REMEDY}")
        if not self.files:  # an empty folder is lost where only files are copied
            return
        folder = self.open(index)
        for name, info in self.files.items():
            path = folder / name
            try:
                size_bytes = folder.size_bytes(name)
            except OSError as error:
                raise unreadable(error, path) from error
            if size_bytes != info.size_bytes:
                raise IndexDamagedError(f"{path}: {size_bytes} bytes instead of {info.size_bytes}; {REMEDY}")


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A segment: its files and what is known of it without opening them.

    n_docs, n_postings: as it was written, deleted documents among them. deletions: the part that says
    which `n_deleted` documents are no longer there, None where all are. dense: where its dense vectors are.
    """

    part: Part
    n_docs: int
    n_postings: int
    n_deleted: int = 0
    deletions: Part | None = None
    dense: Part | None = None

    @property
    def n_live(self) -> int:
        """Documents that are not deleted."""
        return self.n_docs - self.n_deleted

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts of the segment."""
        return tuple(part for part in (self.part, self.deletions, self.dense) if part is not None)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One generation of an index.

    encoder: what `open_query_encoder` needs and a reader may want to know. scale: the weight that one
    impact stands for. n_clipped: weights beyond 255 · scale so far. statistics: of the corpus, where
    the encoder's weights depend on them. dense: the description of the encoder of dense vectors, if there are any.
    passages: how long documents were cut into them, if they were: `overlap` and `max_length`, in tokens. sources: the
    folders and files that it was made of (`lsr.indexer.sources`); None where they aren't known. tuning: settings of
    hybrid search that were chosen for its documents; None where none were. smoothing: how documents were smoothed over
    their neighbours (`lsr.indexer.update.smooth`), and how many; None where they weren't. pruning: how documents were
    pruned when they were added; None where they weren't. recall: what approximate searches find (`lsr.query.recall`),
    and when that was measured; None where it wasn't.
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
    dense: Mapping[str, Any] | None = None
    passages: Mapping[str, int] | None = None
    sources: Part | None = None
    tuning: HybridTuning | None = None
    smoothing: Mapping[str, float] | None = None
    pruning: Pruning | None = None
    recall: Mapping[str, Any] | None = None

    @property
    def n_docs(self) -> int:
        """Documents in all segments, deleted ones not among them."""
        return sum(segment.n_live for segment in self.segments)

    @property
    def n_positions(self) -> int:
        """Documents in all segments, deleted ones among them: positions are below this."""
        return sum(segment.n_docs for segment in self.segments)

    @property
    def n_postings(self) -> int:
        """Postings in all segments, those of deleted documents among them."""
        return sum(segment.n_postings for segment in self.segments)

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts of the generation."""
        own = (self.vocabulary, self.encoder_files, *(() if self.sources is None else (self.sources,)))
        return (*own, *(part for segment in self.segments for part in segment.parts))

    def with_parts(self, of: Callable[[Part], Part]) -> Manifest:
        """Return the same with each part replaced by what `of` gives for it."""
        segments = tuple(_with_parts(segment, of) for segment in self.segments)
        return replace(_with_parts(self, of), segments=segments)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(info.size_bytes for part in self.parts for info in part.files.values())


_Holder = TypeVar("_Holder", SegmentInfo, Manifest)


def _with_parts(holder: _Holder, of: Callable[[Part], Part]) -> _Holder:
    values = ((each.name, getattr(holder, each.name)) for each in fields(holder))
    changed: dict[str, Any] = {name: of(value) for name, value in values if isinstance(value, Part)}
    return replace(holder, **changed)


def manifest_path(index: Path, generation: int) -> Path:
    """Return the path of a generation's manifest."""
    return index / f"manifest-{generation:08d}.json"


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")


def checked_bytes(content: Mapping[str, Any]) -> bytes:
    """Return JSON with its checksum, as `checked_content` reads it."""
    return _canonical({**content, "crc32": zlib.crc32(_canonical(content))})


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the content of a manifest's file."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
    for name in (
        "sources",
        "tuning",
        "smoothing",
        "pruning",
        "recall",
    ):  # as in the manifests that have no entry for them
        if content[name] is None:
            del content[name]
    return checked_bytes(content)


def write_manifest(index: Path | Folder, manifest: Manifest) -> None:
    """Make a generation visible: written aside, synced, renamed. Raises OSError, and then it is not visible."""
    folder = Folder.of(index)
    write_last(folder, manifest_path(folder.path, manifest.generation).name, manifest_bytes(manifest))


def write_last(folder: Folder, name: str, data: bytes) -> None:
    """Write the file that makes a generation visible. Raises OSError, and then it is not visible."""
    aside = folder / f"{name}.tmp"
    aside.remove(missing_ok=True)
    with new_file(aside) as file:
        file.write(data)
    folder.sync()  # before the rename: the folders of parts may be new, and a manifest must not outlive them
    aside.rename(name)
    try:
        folder.sync()
    except OSError as error:
        _take_back(folder, name, error)
        raise


def _take_back(folder: Folder, name: str, cause: OSError) -> None:
    """Remove a manifest that could not be synced, durably. Raises LsrError, which says that it is there, otherwise."""
    try:
        folder.remove_file(name)
        folder.sync()
    except OSError:
        if not folder.has_file(name):
            return
        raise LsrError(
            f"{folder / name}: the change is made, but can't be synced ({cause.strerror or cause}), so that a power "
            "loss could undo it; check the disk"
        ) from cause


def read_manifest(index: Path | Folder, generation: int) -> Manifest:
    """Read a generation's manifest.

    Raises IndexMissingError if there is none, IndexDamagedError if it can't be trusted.
    """
    path = manifest_path(Path(str(index)), generation)
    try:
        with Folder.of(index).open_file(path.name) as file:
            data = file.read(LARGEST_MANIFEST + 1)
    except FileNotFoundError:
        raise IndexMissingError(f"no generation {generation} of the index at {index}") from None
    except OSError as error:
        raise unreadable(error, path, remedy="check its permissions") from error
    manifest = parse_manifest(data, path)
    if manifest.generation != generation:
        raise IndexDamagedError(
            f"{path}: a field is missing or malformed (it is of generation {manifest.generation}); {REMEDY}"
        )
    return manifest


def parse_manifest(data: bytes, path: Path) -> Manifest:
    """Parse the content of a manifest. path: of the file that it is from. Raises IndexDamagedError."""
    return parsed(checked_content(data, path, FORMAT, range(OLDEST_READABLE, FORMAT_VERSION + 1)), path, _parse)


_Parsed = TypeVar("_Parsed")


def parsed(content: Mapping[str, Any], path: Path, parse: Callable[[Mapping[str, Any]], _Parsed]) -> _Parsed:
    """Return what a file says. Raises IndexDamagedError where a field is missing or malformed."""
    try:
        return parse(content)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise IndexDamagedError(f"{path}: a field is missing or malformed ({error!r:.200}); {REMEDY}") from error


def checked_content(data: bytes, path: Path, form: str, versions: range) -> Mapping[str, Any]:
    """Return the JSON object of a file of a format, its version and checksum compared. Raises IndexDamagedError."""
    if len(data) > LARGEST_MANIFEST:
        raise IndexDamagedError(f"{path}: a manifest of more than {LARGEST_MANIFEST:,} bytes, the limit; {REMEDY}")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IndexDamagedError(f"{path}: not a readable manifest ({error}); {REMEDY}") from error
    if not isinstance(content, dict) or content.get("format") != form:
        raise IndexDamagedError(f"{path}: not a manifest of this program; {REMEDY}")
    version = content.get("format_version")
    if type(version) is not int or version not in versions:
        raise IndexDamagedError(
            f"{path}: format version {version}, but this program reads {versions[0]} to {versions[-1]}; "
            "use a program of that version, or index again"
        )
    crc = content.pop("crc32", None)
    try:
        found = zlib.crc32(_canonical(content))
    except RecursionError as error:
        raise IndexDamagedError(f"{path}: not a readable manifest ({error}); {REMEDY}") from error
    if crc != found:
        raise IndexDamagedError(f"{path}: its checksum does not fit; {REMEDY}")
    return content


def _parse(content: Mapping[str, Any]) -> Manifest:
    scale = float(content["scale"])
    if not 0 < scale < math.inf:
        raise ValueError(f"scale {scale}")
    segments = tuple(_parse_segment(segment) for segment in content["segments"])
    if sum(segment.n_docs for segment in segments) > LARGEST_INDEX:
        raise ValueError(f"more than {LARGEST_INDEX} documents")
    return Manifest(
        generation=count(content["generation"]),
        created=str(content["created"]),
        library_version=str(content["library_version"]),
        encoder={"query_side": "", **_parse_description(content["encoder"])},
        scale=scale,
        n_clipped=count(content["n_clipped"]),
        vocabulary=_parse_part(content["vocabulary"], "vocabulary"),
        encoder_files=_parse_part(content["encoder_files"], "encoder"),
        segments=segments,
        statistics={name: float(value) for name, value in content["statistics"].items()},
        dense=_parse_dense(content.get("dense"), segments),
        passages=_parse_passages(content.get("passages")),
        sources=None if content.get("sources") is None else _parse_part(content["sources"], "sources"),
        tuning=None if content.get("tuning") is None else HybridTuning.from_json(content["tuning"]),
        smoothing=_parse_smoothing(content.get("smoothing")),
        pruning=None if content.get("pruning") is None else Pruning.from_json(content["pruning"]),
        recall=None if content.get("recall") is None else recall_from_json(content["recall"]),
    )


def _parse_segment(content: Mapping[str, Any]) -> SegmentInfo:
    deletions, dense = content["deletions"], content["dense"]
    info = SegmentInfo(
        part=_parse_part(content["part"], "segments"),
        n_docs=count(content["n_docs"]),
        n_postings=count(content["n_postings"]),
        n_deleted=count(content["n_deleted"]),
        deletions=None if deletions is None else _parse_part(deletions, "deletions"),
        dense=None if dense is None else _parse_part(dense, "dense"),
    )
    if info.n_deleted > info.n_docs or (info.n_deleted > 0) != (deletions is not None):
        raise ValueError(f"{info.n_deleted} of {info.n_docs} documents deleted")
    return info


def _parse_dense(content: Mapping[str, Any] | None, segments: Iterable[SegmentInfo]) -> Mapping[str, Any] | None:
    """Parse the description of the dense encoder; all segments have vectors of it, or none has."""
    if any((segment.dense is None) != (content is None) for segment in segments):
        raise ValueError("dense vectors of some segments only")
    if content is None:
        return None
    return {**_parse_description(content), "dimension": count(content["dimension"])}


def _parse_description(content: Mapping[str, Any]) -> dict[str, Any]:
    """Parse the description of an encoder, as far as all kinds have it."""
    for name in ("kind", "name", "query_side"):
        if not isinstance(content.get(name, ""), str):
            raise ValueError(f"{name} of the encoder is no text")
    if not isinstance(content.get("settings", {}), dict):
        raise ValueError("settings of the encoder are no object")
    return {"kind": "", **content}


def _parse_passages(content: Mapping[str, Any] | None) -> Mapping[str, int] | None:
    return None if content is None else {name: count(value) for name, value in content.items()}


def _parse_smoothing(content: Mapping[str, Any] | None) -> Mapping[str, float] | None:
    if content is None:
        return None
    share = content["share"]
    if type(share) not in (int, float) or not 0 <= share <= 1:
        raise ValueError(f"smoothing: share {share!r:.40}")
    return {"share": share, **{name: count(content[name]) for name in ("nearest", "terms", "n_docs")}}


def count(value: Any) -> int:
    """Return a whole number that is not negative. Raises ValueError for anything else."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def _parse_part(content: Mapping[str, Any], kind: str) -> Part:
    """Parse a part; a name that could lead out of the index is refused."""
    if content["kind"] != kind or not PART_ID.fullmatch(content["id"]):
        raise ValueError(f"part {content['kind']}/{content['id']} where one of {kind} belongs")
    files = {}
    for name, info in content["files"].items():
        if not _FILE.fullmatch(name):
            raise ValueError(f"file {name}")
        files[name] = FileInfo(count(info["size_bytes"]), count(info["crc32"]))
    return Part(kind, content["id"], files)
