"""The table of sources: the files of each as they were when they were read, and the file of each document.

It is a part of a generation: `sources.json`, `files.arrow` (a row a file), and two arrays with the file of each
document, by the hash of its doc_id. An index that was made of no file has an empty part.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError, UsageError
from lsr.indexer.integrity.damage import REMEDY, unreadable
from lsr.indexer.sources.source import Source
from lsr.indexer.storage.checks_on_read import check_files
from lsr.indexer.storage.files import FileInfo, checked_arrow_source, map_array, new_file, save_array
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import Part
from lsr.io.folder import Folder

KIND = "sources"
SOURCES, FILES = "sources.json", "files.arrow"
KEYS, FILE_OF_KEY = "doc_key.npy", "doc_file.npy"
EVERY_FILE = (SOURCES, FILES, KEYS, FILE_OF_KEY)
UNKNOWN_SOURCES = (
    "the index doesn't know its sources: it was made by an early version, or imported; 'lsr index --overwrite' makes "
    "one that 'lsr sync' can follow"
)
SETTLED_NS = 2_000_000_000
"""Age of a file's last change from which a later one surely has another time: file systems count to 2 s."""


class FileState(NamedTuple):
    """A file as it was read.

    source: number of its source. inside: its path there. digest: of its content, empty where that isn't known. named:
    it was named itself, and is read whatever the source's filters say. settled: 0 where a later change might have the
    same time.
    """

    source: int
    inside: str
    doc_id: str
    size_bytes: int
    mtime_ns: int
    digest: bytes
    named: int
    settled: int


Keys = npt.NDArray[np.uint64]
FileOfKey = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class SourceTable:
    """The sources and their files. doc_key: hashes of doc_ids, ascending. doc_file: the file of each, a row number."""

    sources: tuple[Source, ...] = ()
    files: tuple[FileState, ...] = ()
    doc_key: Keys = field(default_factory=lambda: np.empty(0, np.uint64))
    doc_file: FileOfKey = field(default_factory=lambda: np.empty(0, np.uint32))

    def file_of(self, key: int) -> int | None:
        """Return the row of the file that the document with a hash came from."""
        at = int(np.searchsorted(self.doc_key, np.uint64(key)))
        return int(self.doc_file[at]) if at < len(self.doc_key) and int(self.doc_key[at]) == key else None

    def save(self, folder: Folder) -> dict[str, FileInfo]:
        """Write the table to a folder; nothing where there is no source."""
        if not self.sources:
            return {}
        import pyarrow as pa

        columns = list(zip(*self.files, strict=True)) or [()] * len(_TYPES)
        paths = [inside.encode("utf-8", "surrogateescape") for inside in columns[1]]
        values: list[Sequence[Any]] = [columns[0], paths, *columns[2:]]
        schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in _TYPES.items()])
        arrays = [pa.array(column, of.type) for column, of in zip(values, schema, strict=True)]
        with new_file(folder / FILES) as file, pa.ipc.new_file(pa.PythonFile(file, "w"), schema) as writer:
            writer.write_batch(pa.record_batch(arrays, schema=schema))
        content = json.dumps([source.to_json() for source in self.sources], indent=1)
        with new_file(folder / SOURCES) as text:
            text.write(content.encode())
        return {
            FILES: file.info,
            SOURCES: text.info,
            KEYS: save_array(folder / KEYS, self.doc_key),
            FILE_OF_KEY: save_array(folder / FILE_OF_KEY, self.doc_file),
        }


_TYPES = {
    "source": "int32", "inside": "binary", "doc_id": "string", "size_bytes": "int64", "mtime_ns": "int64",
    "digest": "binary", "named": "uint8", "settled": "uint8",
}  # fmt: skip


def sources_part(index: StoredIndex) -> Part | None:
    """Return the part that holds the table of an index; None where it doesn't know its sources."""
    return index.manifest.sources


def read_table(index: StoredIndex) -> SourceTable | None:
    """Return the table of an index, verified; None for an index that doesn't know its sources.

    Raises IndexDamagedError.
    """
    part = sources_part(index)
    if part is None:
        return None
    if not part.files:
        return SourceTable()
    part.check_sizes(index.folder, expected=EVERY_FILE)
    check_files(index.folder, part, EVERY_FILE)
    opened = OpenTable(index, part)
    columns = [column.to_pylist() for column in opened.columns]
    files = tuple(FileState(*row)._replace(inside=_decoded(row[1])) for row in zip(*columns, strict=True))
    if any(not 0 <= file.source < len(opened.sources) for file in files):
        raise _damaged(index, part, "a file is of no source")
    if any(_leaves(file.inside) for file in files):
        raise _damaged(index, part, "a file lies outside of its source")
    if len(opened.doc_key) and int(opened.doc_file.max()) >= len(files):
        raise _damaged(index, part, "a document is of no file")
    return SourceTable(opened.sources, files, np.array(opened.doc_key), np.array(opened.doc_file))


class OpenTable:
    """The table of an index through mmap, for a look at a few of its files. Raises IndexDamagedError."""

    def __init__(self, index: StoredIndex, part: Part) -> None:
        import pyarrow as pa

        self._index, self._part = index, part
        part.check_sizes(index.folder, expected=EVERY_FILE)
        folder = part.open(index.folder)
        self.doc_key = map_array(folder / KEYS, np.uint64, 1)
        self.doc_file = map_array(folder / FILE_OF_KEY, np.uint32, 1)
        try:
            with folder.open_file(SOURCES) as file:
                self.sources = tuple(map(Source.from_json, json.loads(file.read())))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
            raise unreadable(error, folder / SOURCES, what="not a readable list of sources") from error
        try:
            batch = pa.ipc.open_file(checked_arrow_source(folder / FILES)).get_batch(0)
            fits = {of.name: str(of.type) for of in batch.schema} == _TYPES
        except (OSError, ValueError, pa.ArrowException) as error:
            raise unreadable(error, folder / FILES, what="not a readable table of files") from error
        if not fits or len(self.doc_key) != len(self.doc_file):
            raise _damaged(index, part, "its arrays or columns are others")
        self.columns = batch.columns

    def file(self, row: int) -> FileState:
        """Return a file by its row."""
        import pyarrow as pa

        try:
            cells = [column.slice(row, 1) for column in self.columns]
            for cell in cells:
                cell.validate(full=True)
            values = [cell[0].as_py() for cell in cells]
            state = FileState(*values)._replace(inside=_decoded(values[1]))
        except (pa.ArrowException, ValueError, IndexError) as error:
            where = self._part.folder(self._index.path) / FILES
            raise unreadable(error, where, what=f"file {row} can't be read") from error
        if not 0 <= state.source < len(self.sources):
            raise _damaged(self._index, self._part, "a file is of no source")
        if _leaves(state.inside):
            raise _damaged(self._index, self._part, "a file lies outside of its source")
        return state


def _decoded(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _leaves(inside: str) -> bool:
    return inside.startswith("/") or "\0" in inside or ".." in inside.split("/")


def _damaged(index: StoredIndex, part: Part, what: str) -> IndexDamagedError:
    return IndexDamagedError(f"{part.folder(index.path)}: not a table of sources ({what}); {REMEDY}")
