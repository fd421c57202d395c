"""Engines by name, and the versions that are installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import cast

from lsr.errors import LsrError, MissingExtraError, UsageError
from lsr.eval.bench.engine import Engine
from lsr.version import __version__

OWN = "lsr"
PEERS = ("bmp", "pisa", "seismic", "sindi", "kannolo", "lucene")
ALIASES = {
    "pyterrier-pisa": "pisa",
    "pyseismic-lsr": "seismic",
    "pyvsag": "sindi",
    "vsag": "sindi",
    "pyserini": "lucene",
}
LEFT_OUT = {
    "bm25s": "it takes no query weights (a heavy term would have to be asked for up to 255 times), "
    "so it can't do the dot products that are timed here"
}


def engine(name: str) -> Engine:
    """Return the module of an engine."""
    module = "own" if name == OWN else f"peers.{name}"
    return cast(Engine, import_module(f"lsr.eval.bench.{module}"))


def engine_version(name: str) -> str | None:
    """Return the version of an engine's package, None if it isn't installed."""
    if name == OWN:
        return __version__
    try:
        return version(engine(name).PACKAGE)
    except PackageNotFoundError:
        return None


def choose_peers(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the peers wanted, and notes about the others; no names: all that are installed.

    Raises UsageError for an unknown name, MissingExtraError for a peer that isn't installed, LsrError for
    one that can't be timed.
    """
    if not names:
        installed = [peer for peer in PEERS if engine_version(peer)]
        notes = [f"{engine(peer).PACKAGE} isn't installed" for peer in PEERS if peer not in installed]
        return installed, notes + [f"{name} is left out: {why}" for name, why in LEFT_OUT.items()]
    chosen = []
    for given in names:
        name = ALIASES.get(given, given)
        if name in LEFT_OUT:
            raise LsrError(f"--peers {given}: {LEFT_OUT[name]}")
        if name not in PEERS:
            raise UsageError(f"--peers {given}: no such peer; there are {', '.join(PEERS)}")
        if engine_version(name) is None:
            raise MissingExtraError(engine(name).PACKAGE, "lucene" if name == "lucene" else "peers")
        if name not in chosen:
            chosen.append(name)
    return chosen, []
