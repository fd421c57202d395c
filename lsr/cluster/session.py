"""Connection to a Ray cluster, or the start of one on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any

from lsr.errors import ClusterError, MissingExtraError, UsageError

AUTO = "auto"
PROBE_S = 5.0
"""Time in which a machine has to accept a connection."""
DEATH_WAIT = ("RAY_timeout_ms_task_wait_for_death_info", "100")
"""Milliseconds that Ray waits for the reason of a death before a call fails: its default, 1,000, took 1.9 s."""
OF_OUR_CLUSTER = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
"""Settings of a cluster that is started here. With Ray's niceness, 15, its workers wait for all else on the machine."""
STORE_BYTES = 256 << 20
"""Memory for objects of a cluster that is started here: units and replies are some megabytes."""


def connected(address: str | None = None) -> Any:
    """Return the module `ray`, connected to a cluster.

    address: HOST:PORT of a cluster's head, or `auto` for the one that runs on this machine; None: that, or a cluster
    of this machine alone, started now and ended with this process. A connection that there is already is used.
    Raises MissingExtraError without Ray, ClusterError where no cluster answers.
    """
    ray = ray_module()
    if ray.is_initialized():
        return ray
    if address not in (None, AUTO):
        _probe(str(address))
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "lsr"}
    with _quiet():
        try:
            ray.init(address=address or AUTO, **options)
        except ConnectionError as error:
            if address is not None:
                raise ClusterError(
                    f"no Ray cluster answers at {address}: start one by 'ray start --head', or give its HOST:PORT"
                ) from error
            for name, value in OF_OUR_CLUSTER.items():
                os.environ.setdefault(name, value)
            ray.init(include_dashboard=False, object_store_memory=STORE_BYTES, **options)
        except (RuntimeError, ValueError, OSError) as error:
            raise ClusterError(f"the Ray cluster at {address or AUTO} can't be joined: {error}") from error
    return ray


def ray_module() -> Any:
    """Import Ray. Raises MissingExtraError without it."""
    os.environ.setdefault(*DEATH_WAIT)  # before Ray is there, which reads it once
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ray", "ray") from error
    return ray


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, which may hold a whole traceback."""
    return str(error).strip().partition("\n")[0][:200]


def _probe(address: str) -> None:
    """Raise ClusterError unless a machine accepts connections at an address."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        raise UsageError(f"the address of the cluster is {address!r:.80}; it must be HOST:PORT, or {AUTO}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PROBE_S).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address} ({error}): 'ray status' on its head says whether it runs"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's greetings out of the output."""
    before = logging.getLogger("ray").level
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.getLogger("ray").setLevel(before)
