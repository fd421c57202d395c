"""Indexes of dense vectors kept in the user's own cache.

FAISS trusts what it reads, so nothing that came with an index of someone else's may be given to it: what is kept
lies in a folder that only this user can write, is made here from the vectors, and is checked before it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from lsr.indexer.storage.index import StoredIndex
from lsr.io.atomic import PRIVATE, atomic_file
from lsr.io.cache import cache_home
from lsr.io.folder import FileAt, Folder
from lsr.query.hybrid.ann import AnnParameters, build, faiss_library

MAGIC = b"lsr-ann1"
_DIGEST = 32


def ann_of(index: StoredIndex, parameters: AnnParameters) -> Any:
    """Return the FAISS index of an index's dense vectors, from the cache or built and cached."""
    assert index.dense is not None
    header = _header(index, parameters)
    folder = _private_folder()
    path = None if folder is None else folder / f"{hashlib.sha256(header).hexdigest()[:32]}.ann"
    kept = None if path is None else _read(path, header)
    if kept is not None:
        return kept
    made = build(index.dense.matrices, parameters)
    if path is not None:
        with suppress(OSError):  # a full disk costs the next process time, not this one its results
            _write(path, header, made)
    return made


def _header(index: StoredIndex, parameters: AnnParameters) -> bytes:
    """Return what tells one kept index from all others, its parameters among it."""
    assert index.dense is not None
    parts: Sequence[Any] = [
        [info.dense.id, {name: [file.size_bytes, file.crc32] for name, file in info.dense.files.items()}]
        for info in index.manifest.segments
        if info.dense is not None
    ]
    described = {
        "faiss": faiss_library().__version__,
        "parameters": parameters.as_json(),
        "dimension": index.dense.dimension,
        "n_rows": sum(map(len, index.dense.matrices)),
        "vectors": hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
    }
    return json.dumps(described, sort_keys=True).encode()


def _private_folder() -> Folder | None:
    """Open a folder that nobody else can write to, made if need be; None where there can't be one."""
    home = cache_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        folder = Folder.open(home).make_folder("ann", exist_ok=True, mode=0o700)
        state = os.fstat(folder.descriptor)
    except OSError:
        return None
    return folder if state.st_uid == os.getuid() and not state.st_mode & 0o022 else None


def _write(path: FileAt, header: bytes, index: Any) -> None:
    blob = faiss_library().serialize_index(index).tobytes()
    with atomic_file(path, permissions=PRIVATE) as file:
        file.write(MAGIC + len(header).to_bytes(4, "little") + header)
        file.write(hashlib.sha256(blob).digest())
        file.write(blob)


def _read(path: FileAt, header: bytes) -> Any:
    """Return what is kept at a path, None unless it is whole and what the header says."""
    try:
        with path.open() as file:
            content = file.read()
    except OSError:
        return None
    start = MAGIC + len(header).to_bytes(4, "little") + header
    blob = memoryview(content)[len(start) + _DIGEST :]
    digest = content[len(start) : len(start) + _DIGEST]
    if not content.startswith(start) or hashlib.sha256(blob).digest() != digest:
        return None
    return faiss_library().deserialize_index(np.frombuffer(blob, np.uint8))
