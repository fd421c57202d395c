"""Hosts and origins: refusal of requests that a page from elsewhere makes through its visitor's browser."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from lsr.server.settings import LOOPBACK

ANY = "*"


class Hosts:
    """The names that the server answers to: those of this machine, its address, and those allowed besides.

    A foreign name that a page from elsewhere has made this machine's (DNS rebinding) is refused so.
    """

    def __init__(self, host: str, allowed: Sequence[str] = ()) -> None:
        self._names = {*LOOPBACK, host.lower(), *(name.lower() for name in allowed)}
        self._any = ANY in allowed
        self._is_local = host in LOOPBACK

    def admits(self, header: str) -> bool:
        """Tell whether a Host header names this server. An address of the network can't be anybody else's name."""
        if self._any:
            return True
        name = host_name(header)
        return name is not None and (name in self._names or (not self._is_local and _is_address(name)))


def host_name(netloc: str) -> str | None:
    """Return the name in a Host header, without its port, in lower case; None where there is none."""
    try:
        parts = urlsplit(f"//{netloc}")
        parts.port  # noqa: B018  raises where it is no number
    except ValueError:
        return None
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        return None
    return parts.hostname


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_foreign(origin: str | None, host: str, *, named: Collection[str] = (), site: str | None = None) -> bool:
    """Tell whether a request comes from a page of another origin. A request of no browser has no Origin.

    named: origins that are allowed. site: the header Sec-Fetch-Site. The scheme isn't compared, since a proxy may end
    TLS before the server.
    """
    if origin is None:
        return site is not None and site not in ("same-origin", "none")
    if origin in named or ANY in named:
        return False
    return urlsplit(origin).netloc.lower() != host.lower() if _is_web(origin) else True


def _is_web(origin: str) -> bool:
    try:
        return urlsplit(origin).scheme in ("http", "https")
    except ValueError:
        return False
