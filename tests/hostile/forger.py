"""Maker of forged indexes: values that a writer would never write, under checksums that fit."""

from __future__ import annotations

import io
import json
import random
import tarfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lsr.encoders.registry import load_encoder
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.arrays import ARRAYS
from lsr.indexer.storage.checks_on_read import term_checksums
from lsr.indexer.storage.files import save_array
from lsr.indexer.storage.manifest import _canonical
from lsr.indexer.update.update import add_documents, delete_documents
from lsr.types import Document

WORDS = [f"word{i}" for i in range(12)]
NUMBERS = (
    0,
    1,
    -1,
    2,
    63,
    64,
    255,
    256,
    1 << 16,
    (1 << 24) - 1,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 62,
)
"""Values at the edges of what arrays hold; cut to their dtype."""
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 1 << 31, 1 << 63, 1 << 70, -(1 << 70), 0.0, 1.5, -2.5, 1e308, float("inf"),
    float("nan"), "", "x", "words", "table", "model", "none", "vectors", "../../etc/passwd", "\u202e\x1b[31m",
    "9" * 5000,     [], [1], ["x"], {}, {"x": 1}, {"kind": "x"}, [[]], "\ud800",
)  # fmt: skip
"""Values for any place of a manifest."""


def document(number: int) -> Document:
    words = [WORDS[(number * step) % len(WORDS)] for step in range(1, 3 + number % 4)]
    fields: dict[str, Any] = {"year": 2000 + number % 5, "lang": "en", "tags": ["a", "b"][: number % 3]}
    return Document(f"d{number}", " ".join([*words, "common"]), f"Title {number}", fields if number % 4 else {})


def make(path: Path, encoder: Any = None) -> Path:
    """Make an index with every kind of file."""
    index_documents([document(i) for i in range(90)], path, encoder or load_encoder("bm25"))
    add_documents([document(i) for i in range(90, 110)], path, merge=False, encoder=encoder)
    delete_documents(["d3", "d100"], path, merge=False)
    return path


def newest_manifest(path: Path) -> Path:
    return max(path.glob("manifest-*.json"))


def write_manifest(path: Path, content: dict[str, Any]) -> None:
    """Write a manifest with a checksum that fits."""
    content.pop("crc32", None)
    with suppress(ValueError, TypeError):
        content["crc32"] = zlib.crc32(_canonical(content))
    newest_manifest(path).write_bytes(_canonical(content))


def parts_of(content: Any) -> list[dict[str, Any]]:
    """Return the parts that a manifest names, in it."""
    if isinstance(content, list):
        return [part for each in content for part in parts_of(each)]
    if not isinstance(content, dict):
        return []
    found = [content] if isinstance(content.get("files"), dict) else []
    return found + [part for each in content.values() for part in parts_of(each)]


def register(path: Path, part: dict[str, Any], name: str) -> None:
    """Put size and checksum of a file into the part of a manifest."""
    data = (path / part["kind"] / part["id"] / name).read_bytes()
    part["files"][name] = {"size_bytes": len(data), "crc32": zlib.crc32(data)}


def forge_array(path: Path, rng: random.Random) -> str:
    """Change some values of an array, or its length; return its name."""
    content = json.loads(newest_manifest(path).read_text())
    choices = [(part, name) for part in parts_of(content) for name in part["files"] if name.endswith(".npy")]
    part, name = rng.choice(choices)
    folder = path / part["kind"] / part["id"]
    array = np.load(folder / name)
    flat = array.reshape(-1).copy()
    if len(flat) and rng.random() < 0.85:
        for _ in range(rng.choice((1, 1, 2, 5, 50))):
            value = rng.choice((*NUMBERS, int(rng.choice(flat.tolist() or [0]) if flat.dtype.kind != "f" else 0)))
            at = rng.randrange(len(flat))
            with np.errstate(all="ignore"):
                flat[at] = np.array(value % (1 << 63)).astype(flat.dtype)
                if flat.dtype.kind == "f":
                    flat[at] = rng.choice((np.nan, np.inf, -np.inf, -1.0, 0.0, 6e4))
        array = flat.reshape(array.shape)
    elif array.ndim == 1:
        array = rng.choice((flat[:-1], np.concatenate([flat, flat[:1]]), flat[:0], flat[::-1]))
    else:
        array = rng.choice((array[:-1], array[:, :-1], array[:0]))
    (folder / name).unlink()
    save_array(folder / name, np.ascontiguousarray(array))
    register(path, part, name)
    if part["kind"] == "segments" and name != "term_crc.npy":
        arrays = {spec.name: np.load(folder / spec.file) for spec in ARRAYS if not spec.optional}
        with suppress(IndexError, ValueError, TypeError, OverflowError, MemoryError):
            checksums = term_checksums(arrays)
            (folder / "term_crc.npy").unlink()
            save_array(folder / "term_crc.npy", checksums)
            register(path, part, "term_crc.npy")
    write_manifest(path, content)
    return f"{part['kind']}/{name}"


def forge_arrow(path: Path, rng: random.Random) -> str:
    """Change some bytes of an Arrow file, or cut it; return its name."""
    content = json.loads(newest_manifest(path).read_text())
    choices = [(part, str(name)) for part in parts_of(content) for name in part["files"] if name.endswith(".arrow")]
    part, name = rng.choice(choices)
    file = path / part["kind"] / part["id"] / name
    data = bytearray(file.read_bytes())
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[at] = rng.randrange(256)
        else:
            at -= at % 4
            data[at : at + 4] = (rng.choice(NUMBERS) % (1 << 32)).to_bytes(4, "little")
    if rng.random() < 0.1:
        del data[rng.randrange(len(data)) :]
    file.write_bytes(data)
    register(path, part, name)
    write_manifest(path, content)
    return str(name)


def places_in(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of all values of a JSON document."""
    if isinstance(content, dict):
        inner = [place for key, value in content.items() for place in places_in(value, (*path, key))]
    elif isinstance(content, list):
        inner = [place for key, value in enumerate(content) for place in places_in(value, (*path, key))]
    else:
        inner = []
    return [path, *inner] if path else inner


def forge_manifest(path: Path, rng: random.Random) -> str:
    """Change, remove or add values of the manifest; return what was changed."""
    content = json.loads(newest_manifest(path).read_text())
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = [place for place in places_in(content) if place[-1] != "crc32" or len(place) > 1]
        # Most places are sizes and checksums of files: choose among those of each depth alike.
        depth = rng.choice(sorted({len(place) for place in places}))
        place = rng.choice([place for place in places if len(place) == depth])
        holder = content
        for key in place[:-1]:
            holder = holder[key]
        what = rng.random()
        if what < 0.1 and isinstance(holder, dict):
            del holder[place[-1]]
        elif what < 0.2 and isinstance(holder, dict):
            holder["extra"] = rng.choice(VALUES)
        else:
            holder[place[-1]] = rng.choice(VALUES)
        done.append(f"{place} {holder.get(place[-1]) if isinstance(holder, dict) else ''}"[:80])
    write_manifest(path, content)
    return str(done)


def pack(path: Path, target: Path, rng: random.Random) -> str:
    """Write an archive of an index in which something is forged; return what."""
    content = json.loads(newest_manifest(path).read_text())
    manifest = newest_manifest(path).read_bytes()
    members = [("manifest.json", manifest)]
    for part in parts_of(content):
        for name in part["files"]:
            file = path / part["kind"] / part["id"] / name
            members.append((f"{part['kind']}/{part['id']}/{name}", file.read_bytes()))
    what = rng.choice(("names", "kinds", "pax", "bytes", "cut", "order", "sizes"))
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        if what == "order":
            rng.shuffle(members)
        chosen = rng.randrange(len(members))
        for number, (name, data) in enumerate(members):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            if number == chosen and what == "names":
                member.name = rng.choice(("../x", "/etc/x", name + "/..", "", "x" * 300, name.upper(), "\udcff"))
            if number == chosen and what == "kinds":
                member.type = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE,
                                          tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE, b"Z"))  # fmt: skip
                member.linkname = "/etc/passwd"
                if rng.random() < 0.5:
                    member.size = 0
            if number == chosen and what == "pax":
                key = rng.choice(("size", "path", "GNU.sparse.map", "GNU.sparse.size", "GNU.sparse.realsize", "mtime",
                                  "hdrcharset", "comment", "GNU.sparse.major"))  # fmt: skip
                member.pax_headers = {key: rng.choice(("-1", "1" * 5000, "x" * 200_000, "0,1", "nan", "\u202e", ""))}
            if number == chosen and what == "sizes":
                data = data + b"more" if rng.random() < 0.5 else data[: len(data) // 2]
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data[: member.size]))
    packed = bytearray(raw.getvalue())
    if what == "bytes":
        for _ in range(rng.choice((1, 4, 30))):
            packed[rng.randrange(len(packed))] = rng.randrange(256)
    if what == "cut":
        del packed[rng.randrange(len(packed)) :]
    target.write_bytes(packed)
    return what


FORGERIES: dict[str, Callable[[Path, random.Random], str]] = {
    "arrays": forge_array,
    "arrow": forge_arrow,
    "manifest": forge_manifest,
}
