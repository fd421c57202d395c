"""Builds and openings of indexes in a separate process, whose time and memory are theirs alone.

Run as `python -m lsr.eval.bench.child JOB`, a JSON object; prints a JSON object on its last line.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lsr.errors import LsrError
from lsr.eval.bench.collection import load_collection, load_vectors, rows
from lsr.eval.bench.engine import Engine
from lsr.eval.bench.registry import OWN, engine
from lsr.types import SparseBatch

INTERVAL_S = 0.01
PROBED_K = 10


@dataclass(frozen=True, slots=True)
class BuildCost:
    """Seconds by the clock and of all cores together, and the peak of resident memory.

    Memory counts beyond the collection itself: in all, and without pages of files.
    """

    build_s: float
    cpu_s: float
    threads: int
    peak_bytes: int
    peak_anonymous_bytes: int | None


@dataclass(frozen=True, slots=True)
class OpenCost:
    """Cost of opening an index in a new process, its files in the page cache.

    first_query_ms: loading of code included. resident_bytes: after all queries, beyond those before
    opening; anonymous_bytes: the same without pages of mapped files.
    """

    open_ms: float
    first_query_ms: float
    resident_bytes: int
    anonymous_bytes: int | None


def run_child(job: dict[str, Any], *, threads: int) -> dict[str, Any]:
    """Run a job in a new process. Raises LsrError with what it printed if it fails."""
    limits = {name: str(threads) for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lsr.eval.bench.child", json.dumps(job)],
        env=os.environ | limits,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
        raise LsrError(f"{job['do']} of {job['engine']} failed with code {done.returncode}: " + "\n".join(said))
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _memory() -> dict[str, int]:
    """Return the memory of this process by the system's account, in bytes: VmRSS and, on Linux, RssAnon and VmHWM."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        return {"VmRSS": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith(" kB")}


def _grown(before: dict[str, int], after: dict[str, int]) -> tuple[int, int | None]:
    """Return the growth of resident memory, in all and without pages of files (None if that isn't known)."""
    anonymous = after["RssAnon"] - before["RssAnon"] if "RssAnon" in before else None
    return after["VmRSS"] - before["VmRSS"], anonymous


class _PeakMemory(threading.Thread):
    """A thread that watches the memory of the process from its construction until `stop`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        gc.collect()
        self._resettable = True
        try:
            # Reset the system's own high-water mark: it also sees what happens while no Python can run.
            Path("/proc/self/clear_refs").write_text("5", "ascii")
        except OSError:
            self._resettable = False
        self._before = _memory()
        self._peak = dict(self._before)
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(INTERVAL_S):
            self._look()

    def _look(self) -> None:
        for name, value in _memory().items():
            self._peak[name] = max(self._peak.get(name, 0), value)

    def stop(self) -> tuple[int, int | None]:
        """Return the largest growth, in all and without pages of files."""
        self._over.set()
        self.join()
        self._look()
        if self._resettable and "VmHWM" in self._peak:
            self._peak["VmRSS"] = max(self._peak["VmRSS"], self._peak["VmHWM"])
        return _grown(self._before, self._peak)


def _build(job: dict[str, Any]) -> BuildCost:
    collection = load_collection(Path(job["collection"])).take(docs=job["docs"])
    documents = collection.documents
    if job["engine"] != OWN:
        documents = rows(documents, 0, len(documents))
    order = np.load(job["order"]) if job["order"] else np.arange(len(documents))
    module = engine(job["engine"])
    module.load()
    if job["engine"] == OWN:
        _compile(module)
    watch = _PeakMemory()
    watch.start()
    began, cpu_began = time.perf_counter(), time.process_time()
    module.build(documents, order, Path(job["folder"]), **job["options"])
    build_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    return BuildCost(build_s, cpu_s, job["threads"], *watch.stop())


def _compile(module: Engine) -> None:
    """Build an index of two documents: compiling, once an installation, is no part of building."""
    tiny = SparseBatch.from_rows([{0: 1.0}, {0: 2.0, 1: 3.0}], 2)
    with tempfile.TemporaryDirectory() as folder:
        for reorder in (True, False):
            (Path(folder) / str(reorder)).mkdir()
            module.build(tiny, np.arange(2), Path(folder) / str(reorder), reorder=reorder)


def _open(job: dict[str, Any]) -> OpenCost:
    queries = load_vectors(Path(job["queries"]))
    module = engine(job["engine"])
    module.load()
    gc.collect()
    before = _memory()
    began = time.perf_counter()
    index = module.open_index(Path(job["folder"]))
    opened = time.perf_counter()
    search = module.searcher(index, **job["search"])
    prepared = [search.prepare(*row) for row in queries]
    asked = time.perf_counter()
    for number, query in enumerate(prepared):
        search.search(query, PROBED_K)
        if number == 0:
            first = time.perf_counter() - asked
    return OpenCost((opened - began) * 1e3, first * 1e3, *_grown(before, _memory()))


def main() -> None:
    """Do the job named on the command line."""
    job = json.loads(sys.argv[1])
    cost: BuildCost | OpenCost = _build(job) if job["do"] == "build" else _open(job)
    sys.stdout.write("\n" + json.dumps(asdict(cost)) + "\n")


if __name__ == "__main__":
    main()
