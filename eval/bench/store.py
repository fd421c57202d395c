"""Built indexes, kept between runs: a folder for each collection, in it one for each index."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import lsr.indexer
import lsr.kernels
from lsr.errors import LsrError
from lsr.eval.bench.child import BuildCost, OpenCost, run_child
from lsr.eval.bench.collection import SparseCollection, digest, save_collection, save_vectors
from lsr.eval.bench.engine import Setting
from lsr.eval.bench.oracle import Truth, find_truth, load_truth, save_truth
from lsr.eval.bench.registry import OWN, engine_version
from lsr.io.atomic import atomic_file, atomic_folder
from lsr.io.cache import cache_home

log = logging.getLogger(__name__)

KEPT_OF_OURS = 2
DEPTH = 1000


@dataclass(frozen=True, slots=True)
class Built:
    """An index on disk with its costs."""

    folder: Path
    version: str
    cost: BuildCost
    size_bytes: int
    kept: bool
    """True where an earlier run built it."""


def default_cache() -> Path:
    """Return the folder where indexes are kept: in $LSR_CACHE, else in the user's cache."""
    return cache_home() / "bench"


class Store:
    """The indexes of one collection."""

    def __init__(
        self,
        cache: Path,
        collection: SparseCollection,
        source: Path | None,
        *,
        threads: int,
        rebuild: bool = False,
    ) -> None:
        """Use a folder of `cache`. source: where `load_collection` finds the collection, or one that begins with
        its documents; None: save it. threads: for building. rebuild: use nothing of earlier runs.
        """
        self._collection, self._threads = collection, threads
        self.folder = cache / digest(collection.documents)
        try:
            if rebuild:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LsrError(f"{self.folder}: can't be made ({error.strerror}); choose another --cache") from error
        self._queries = self.folder / f"queries-{digest(collection.queries)}.npz"
        save_vectors(self._queries, collection.queries)
        self._source = source
        if source is None:
            self._source = self.folder / "collection"
            if not self._source.is_dir():
                with atomic_folder(self._source) as folder:
                    save_collection(folder, collection)

    def truth(self, k: int) -> Truth:
        """Return the exact k best of each query at least, computed once."""
        k = max(k, DEPTH)
        path = self.folder / f"truth-{digest(self._collection.queries)}-{k}.npz"
        if not path.is_file():
            log.info(f"scoring all documents for {len(self._collection.queries)} queries, to know what is right")
            save_truth(path, find_truth(self._collection, k))
        return load_truth(path)

    def order(self) -> npt.NDArray[np.int64] | None:
        """Return the order of documents that peers' indexes are built in, None if there is none yet."""
        path = self.folder / "order.npy"
        return np.load(path, allow_pickle=False) if path.is_file() else None

    def keep_order(self, order: npt.NDArray[np.int64]) -> None:
        """Fix the order for all peers' indexes of this collection."""
        with atomic_file(self.folder / "order.npy") as file:
            np.save(file, order)

    def index(self, engine_name: str, setting: Setting) -> Built:
        """Return the index of a setting, built now if no earlier run has."""
        version = engine_version(engine_name) or ""
        stamp = _sources() if engine_name == OWN else version
        slug = "-".join(re.findall(r"[a-z0-9]+", setting.index.lower()))
        folder = self.folder / f"{slug}-{stamp}"
        found = _read_built(folder)
        kept = found is not None
        if found is None:
            self._build(engine_name, setting, folder)
            found = _read_built(folder)
            if found is None:
                raise LsrError(f"{folder}: what was just built can't be read; choose another --cache")
        if engine_name == OWN:
            self._forget_older(folder, f"{slug}-")
        return Built(folder / "index", version, found[0], found[1], kept)

    def _build(self, engine_name: str, setting: Setting, folder: Path) -> None:
        log.info(f"building the index of {setting.index}")
        with atomic_folder(folder) as new:
            (new / "index").mkdir()
            job = self._job("build", engine_name, new, setting.build)
            job["order"] = str(self.folder / "order.npy") if engine_name != OWN else None
            job["threads"] = self._threads
            if engine_name == OWN:
                job["options"]["threads"] = self._threads
            cost = run_child(job, threads=self._threads)
            entry = {"cost": cost, "size_bytes": _size(new / "index")}
            (new / "built.json").write_text(json.dumps(entry), "utf-8")
            shutil.rmtree(folder, ignore_errors=True)

    def open_cost(self, engine_name: str, setting: Setting, built: Built) -> OpenCost:
        """Open an index in a new process and search it."""
        job = self._job("open", engine_name, built.folder.parent, setting.build)
        return OpenCost(**run_child(job | {"search": dict(setting.search)}, threads=1))

    def _job(self, do: str, engine_name: str, folder: Path, options: Any) -> dict[str, Any]:
        return {
            "do": do,
            "engine": engine_name,
            "collection": str(self._source),
            "docs": len(self._collection.documents),
            "queries": str(self._queries),
            "folder": str(folder / "index"),
            "options": dict(options),
        }

    def _forget_older(self, used: Path, prefix: str) -> None:
        """Remove our indexes that older code built, except the newest."""
        others = [path for path in self.folder.glob(f"{prefix}{'[0-9a-f]' * 12}") if path != used]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in others[KEPT_OF_OURS - 1 :]:
            shutil.rmtree(path, ignore_errors=True)


def _sources() -> str:
    """Return a fingerprint of the code that builds our indexes."""
    folders = [Path(package.__file__ or "").parent for package in (lsr.indexer, lsr.kernels)]
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return hashlib.blake2b(b"\0".join(path.read_bytes() for path in files), digest_size=6).hexdigest()


def _read_built(folder: Path) -> tuple[BuildCost, int] | None:
    """Return cost and size of a cached index; None if there is none, or if another version wrote it."""
    try:
        found = json.loads((folder / "built.json").read_text("utf-8"))
        return BuildCost(**found["cost"]), int(found["size_bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
