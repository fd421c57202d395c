"""Maker of forged sets of shards: what a set says of its shards, and shards that their set agrees with."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forger import FORGERIES, VALUES, document, newest_manifest, places_in

from lsr.encoders.registry import load_encoder
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import Partition
from lsr.indexer.storage.manifest import _canonical
from lsr.indexer.update.update import add_documents, delete_documents

NAMES = (
    "../index", "/etc", "..", ".", "", "shard-00000001-0000", "shard-00000009-0000", "shard-00000001-0000/segments",
    "segments", "writer.lock",
)  # fmt: skip
POSITIONS = (0, 1, 109, 110, 111, 1 << 20, 1 << 26, (1 << 26) + 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 70)


def make_set(path: Path, by: str) -> Path:
    """Make a set of three shards, changed since."""
    index_documents([document(i) for i in range(90)], path, load_encoder("bm25"), shards=Partition(3, by))
    add_documents([document(i) for i in range(90, 110)], path, merge=False)
    delete_documents(["d3", "d100"], path, merge=False)
    return path


def newest_set(path: Path) -> Path:
    return max(path.glob("set-*.json"))


def write_set(path: Path, content: dict[str, Any]) -> None:
    """Write what a set says, with a checksum that fits."""
    content.pop("crc32", None)
    try:
        content["crc32"] = zlib.crc32(_canonical(content))
    finally:
        newest_set(path).write_bytes(_canonical(content))


def forge_set(path: Path, rng: random.Random) -> str:
    """Change what a set says of itself and its shards; return what was changed."""
    content = json.loads(newest_set(path).read_text())
    shards = content["shards"]
    what = rng.choice(("any", "any", "names", "positions", "twice", "many", "generation", "order", "less"))
    if what == "any":
        place = rng.choice([place for place in places_in(content) if place[-1] != "crc32"])
        holder = content
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = rng.choice(VALUES)
        what = f"{place} {holder[place[-1]]!r:.50}"
    elif what == "names":
        rng.choice(shards)["name"] = rng.choice(NAMES)
    elif what == "positions":
        content["next_position"] = rng.choice(POSITIONS)
        content["partition"] = rng.choice(("hash", "range"))
    elif what == "twice":
        shards.append(dict(rng.choice(shards)))
    elif what == "many":
        shards += [shards[0] | {"name": f"shard-00000001-{n:04d}"} for n in range(3, rng.choice((4, 1024, 1025, 9999)))]
    elif what == "generation":
        rng.choice(shards)["generation"] = rng.choice((0, 1, 3, 99_999_999, 1 << 70))
    elif what == "order":
        rng.shuffle(shards)
    else:
        del shards[rng.randrange(3)]
    write_set(path, content)
    return what


def forge_shard(path: Path, rng: random.Random) -> str:
    """Forge something in a shard, whose manifest the set then names as it is."""
    content = json.loads(newest_set(path).read_text())
    info = rng.choice(content["shards"])
    kind = rng.choice(sorted(FORGERIES))
    what = FORGERIES[kind](path / info["name"], rng)
    info["manifest_crc32"] = zlib.crc32(newest_manifest(path / info["name"]).read_bytes())
    write_set(path, content)
    return f"{info['name']}: {kind}: {what}"


SET_FORGERIES: dict[str, Callable[[Path, random.Random], str]] = {"set": forge_set, "shard": forge_shard}
