"""Running the server: its socket, its signals, and an end that lets requests in flight finish."""

from __future__ import annotations

import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from lsr.errors import LsrError
from lsr.server.settings import ServerSettings

BACKLOG = 2048


class Server(uvicorn.Server):
    """A server that ends, and returns, on SIGINT and SIGTERM, after the requests in flight."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving; put the earlier handlers back afterwards."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(settings: ServerSettings) -> socket.socket:
    """Return a socket that listens at the server's address. Raises LsrError where that can't be."""
    host, port = settings.host, settings.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((host, port))
            opened.listen(BACKLOG)
        except BaseException:
            opened.close()
            raise
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise LsrError(
            f"can't listen at {host}, port {port}: {why}; give another --port, or 0 for any that is free"
        ) from error
    return opened


def url_of(listening: socket.socket) -> str:
    """Return the address of the page."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(app: Any, settings: ServerSettings, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, and until the requests in flight are answered."""
    allow_connections()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=int(settings.limits.silence_s),
        timeout_graceful_shutdown=int(settings.limits.shutdown_s),
        backlog=BACKLOG,
        ws="none",
        h11_max_incomplete_event_size=64 << 10,
    )
    Server(config).run(sockets=[listening])


def allow_connections() -> None:
    """Let this process have as many descriptors as the system permits: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
