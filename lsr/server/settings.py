"""Settings of the server: its address, its guards and its limits."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsr.server.access_log import AccessLog
    from lsr.server.keys import Keys

LOOPBACK = ("localhost", "127.0.0.1", "::1")
HOST, PORT = "127.0.0.1", 8754


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that a request may ask for, and the work that the server takes on at a time.

    body: bytes of a request's body. query: characters of a query or a filter. batch: queries of one request. threads:
    requests that are worked on at a time. waiting: requests that wait for a thread; further ones get 429. deadline_s:
    seconds from a request's arrival to the end of its search. silence_s: seconds that a client may be silent within a
    request. shutdown_s: seconds that requests in flight have to end after SIGTERM. documents: documents of one page.
    """

    body: int = 32 << 20
    query: int = 10_000
    k: int = 1000
    offset: int = 10_000
    feedback: int = 1000
    facets: int = 20
    batch: int = 100
    documents: int = 1000
    threads: int = field(default_factory=lambda: max(2, os.cpu_count() or 1))
    waiting: int = 64
    deadline_s: float = 30.0
    silence_s: float = 20.0
    shutdown_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of `lsr serve` but for the indexes.

    root_path: path of the server behind its proxy, as `/search`. keys: those of requests, None where none are needed.
    read_only: refuse all changes. allow_hosts: names of the server besides those of this machine. cors: origins whose
    pages may use the server. access_log: None for no log.
    """

    host: str = HOST
    port: int = PORT
    root_path: str = ""
    keys: Keys | None = None
    read_only: bool = False
    allow_hosts: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    access_log: AccessLog | None = None
    limits: Limits = Limits()

    @property
    def is_local(self) -> bool:
        """True where only this machine can reach the server."""
        return self.host in LOOPBACK
