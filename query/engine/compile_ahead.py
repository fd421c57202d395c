"""Compiling of the search kernels in another process, while numpy answers: nobody waits for a compiler.

Compiled code is cached for the user, so that this happens once after an installation. `LSR_COMPILE=now` compiles at the
first search instead, which then waits.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lsr.query.engine.planner import compiled_is_loaded

if TYPE_CHECKING:
    import subprocess

VARIABLE, AT_ONCE = "LSR_COMPILE", "now"
LOCK = "compiling.lock"
log = logging.getLogger("lsr")


class Compiling:
    """The compiling of this process, if it started any. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_ready = False
        self._child: subprocess.Popen[bytes] | None = None

    def is_done(self) -> bool:
        """Return whether compiled code answers without waiting; if not, see to it that another process compiles."""
        if self._is_ready or compiled_is_loaded():
            return True
        if not self._lock.acquire(blocking=False):
            return False  # another thread looks just now
        try:
            if self._child is not None:
                self._is_ready = self._child.poll() is not None
            elif not self._start():
                self._is_ready = True
            return self._is_ready
        finally:
            self._lock.release()

    def wait(self) -> None:
        """Wait until compiled code answers."""
        if not self.is_done() and self._child is not None:
            self._child.wait()

    def _start(self) -> bool:
        """Start compiling if that is needed and can be done elsewhere; return whether it was started."""
        import subprocess

        from numba import config

        from lsr.kernels.jit.compile import cache_folder, is_kept
        from lsr.kernels.jit.first_use import SEARCH, note_of_compiling

        if os.environ.get(VARIABLE) == AT_ONCE or config.DISABLE_JIT or not is_kept(cache_folder()):
            return False
        if note_of_compiling(SEARCH) is None:
            return False
        command = [sys.executable, "-P", "-m", "lsr.query.engine.compile_ahead"]
        quiet = subprocess.DEVNULL
        try:
            self._child = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        except OSError:
            return False
        log.info("compiling for searches in the background, once after an installation; numpy answers until then")
        return True


COMPILING = Compiling()
os.register_at_fork(after_in_child=lambda: COMPILING.__init__())  # type: ignore[misc]


def compile_search() -> None:
    """Compile all that searches call, for arrays of the types that `Engine` passes."""
    import numpy as np

    from lsr.kernels import search
    from lsr.kernels.build.layout import Postings
    from lsr.kernels.geometry import RUN, STORED_K, SUPERBLOCK_BLOCKS
    from lsr.kernels.traversals.approximate import Limits
    from lsr.kernels.traversals.scratch import make_scratch

    postings = Postings(  # of one document with one term, a rare one
        row=np.array([-1], np.int32),
        block_max=np.zeros((0, SUPERBLOCK_BLOCKS), np.uint8),
        superblock_max=np.zeros((0, 1), np.uint8),
        runs=np.zeros((0, RUN), np.uint32),
        frequent_start=np.zeros(1, np.int64),
        frequent=np.zeros(0, np.uint8),
        rare_start=np.array([0, 1], np.int64),
        rare=np.array([1], np.uint32),
        insertion=np.zeros(1, np.uint32),
    )
    terms, kth_impact = np.zeros(1, np.uint32), np.ones((1, len(STORED_K)), np.uint8)
    arrays = postings, terms, kth_impact, np.ones(1, np.bool_), np.empty(0, np.uint64)
    table = search.describe(*arrays, number=0, base=0, n_denied=0).reshape(1, -1)
    held = make_scratch(1, 1)
    scratch, term_ids, weights = search.describe_scratch(held), np.zeros(1, np.int32), np.ones(1, np.uint32)
    starts, heaps = np.array([0, 1], np.int64), np.zeros((1, 1), np.uint64)
    batch = search.BatchResults(heaps, np.zeros((1, 3), np.int64), np.zeros((1, 1), np.int64), np.zeros(1, np.int64))
    search.rank_many(0, table, search.Queries(starts, term_ids, weights), search.PLANNED, batch, scratch)
    query = table, term_ids, weights
    heap, visits, traversals = np.zeros(1, np.uint64), np.zeros(3, np.int64), np.zeros(1, np.int64)
    search.rank(*query, search.PLANNED, heap, visits, traversals, scratch)
    search.rank_approximately(*query, Limits(1.0, 1, 1), heap, visits, traversals, scratch)


def main() -> None:
    """Compile, unless another process does already: then wait for it."""
    import fcntl

    from lsr.kernels.jit.compile import cache_folder
    from lsr.kernels.jit.first_use import SEARCH, note_of_compiling

    folder = cache_folder()
    with (Path(os.devnull) if folder is None else folder / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if note_of_compiling(SEARCH) is not None:
            compile_search()


if __name__ == "__main__":
    main()
