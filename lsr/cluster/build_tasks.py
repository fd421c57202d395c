"""Building of the shards of a set by Ray: a task each, tried again where its process dies."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lsr.cluster.replies import result_of, said
from lsr.cluster.session import connected, first_line
from lsr.errors import ClusterError
from lsr.indexer.shards.build_task import BuildTask, build_shard


def _run(task: str) -> str:
    """Build a shard; return what that took, as JSON."""

    def work() -> dict[str, Any]:
        began = time.perf_counter()
        before = _peak_bytes()
        build_shard(BuildTask(**json.loads(task)))
        return {"seconds": time.perf_counter() - began, "peak_bytes": _peak_bytes(), "peak_before_bytes": before}

    return said(work)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class RayBuilders:
    """Tasks of a cluster that build shards; see `lsr.indexer.shards.build_task.Builders`.

    n_shards: number of tasks. threads: cores that each takes (default: those of the cluster, divided among them). The
    folder of the set must be the same on all machines. reports: by the names of shards, the seconds of their tasks, and
    the largest resident memory of their processes. Raises ClusterError.
    """

    def __init__(self, address: str | None, n_shards: int, *, threads: int | None = None) -> None:
        self._ray = ray = connected(address)
        cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self.threads = max(1, min(threads or cpus // n_shards, cpus))
        self.reports: dict[str, dict[str, float]] = {}

    def build(self, tasks: Sequence[BuildTask]) -> None:
        """Build all shards, as many at a time as the cluster has room for."""
        ray = self._ray
        # A process for one task alone, so that its peak is that of the task.
        run = ray.remote(max_retries=-1, num_cpus=self.threads, max_calls=1)(_run)
        due = {run.remote(json.dumps(asdict(task))): task for task in tasks}
        try:
            while due:
                (reference,), _ = ray.wait(list(due), num_returns=1)
                task = due.pop(reference)
                try:
                    self.reports[task.name] = result_of(ray.get(reference))
                except ray.exceptions.RayError as error:
                    raise ClusterError(f"the task of shard {task.number} failed: {first_line(error)}") from error
        finally:
            for reference in due:
                ray.cancel(reference, force=True)
