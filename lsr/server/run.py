"""Running the server: its socket, its signals, and an end that lets requests in flight finish."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lsr.errors import LsrError
from lsr.server.settings import ServerSettings

BACKLOG = 2048
SWITCH_S = 0.0005
"""Seconds after which a thread gives up the interpreter's lock. By default the loop would wait 5 ms for each step."""
LARGEST_HEAD = 64 << 10
"""Bytes of a request's line and headers."""
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Server(uvicorn.Server):
    """A server that ends on SIGINT and SIGTERM, after the requests in flight.

    with_signals: False where it runs in another thread than the main one, which alone gets signals.
    """

    def __init__(self, config: uvicorn.Config, *, with_signals: bool = True) -> None:
        super().__init__(config)
        self._with_signals = with_signals

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving; put the earlier handlers back afterwards."""
        if not self._with_signals:
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class PatientProtocol(HttpToolsProtocol):
    """HTTP of a connection that is closed if a request's head doesn't come in time, or is too large."""

    _n_head = 0
    """Bytes that came since the last head was complete."""
    _is_in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._waits = self.loop.call_later(self.timeout_keep_alive, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request. A head that is too large is answered by 431."""
        self._n_head += len(data)
        if self._n_head > LARGEST_HEAD and self._is_in_head:
            self.transport.write(TOO_LARGE)
            self.transport.close()
            return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Stop waiting: from here on the body is limited by the gate."""
        self._n_head, self._is_in_head = 0, False
        self._waits.cancel()
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """Begin to wait for the headers of a request."""
        self._is_in_head = True
        self._waits.cancel()
        self._waits = self.loop.call_later(self.timeout_keep_alive, self._give_up)
        super().on_message_begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._waits.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


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
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()  # what is loaded by now stays: looking through it again would hold up requests for tens of milliseconds
    Server(config_of(app, settings)).run(sockets=[listening])


def config_of(app: Any, settings: ServerSettings) -> uvicorn.Config:
    """Return uvicorn's settings."""
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        loop="uvloop",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=settings.limits.silence_s,  # type: ignore[arg-type]  # call_later takes fractions
        timeout_graceful_shutdown=int(settings.limits.shutdown_s),
        backlog=BACKLOG,
        ws="none",
    )


def allow_connections() -> None:
    """Let this process have as many descriptors as the system permits: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
