"""Provenance of a number: versions, revision, hardware, date."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from lsr import version

_PACKAGES = (
    "lsr-search",
    "numpy",
    "numba",
    "pyarrow",
    "torch",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "ir-measures",
    "pytrec_eval-terrier",
    "scipy",
    "faiss-cpu",
)


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine that measured, as far as timings depend on it."""

    cpu: str
    architecture: str
    cores: int
    """Cores that this process may use."""
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """Software, hardware and command behind a result, in enough detail to reproduce it."""

    date: str
    """UTC, ISO 8601."""
    packages: Mapping[str, str]
    """Versions of what is installed and matters; a package that isn't installed is not named."""
    python: str
    platform: str
    hardware: Hardware
    git_revision: str | None
    """Of the program's own checkout; None for an installed wheel."""
    git_modified: bool | None
    """True where that checkout had uncommitted changes."""
    command: str


def provenance(command: str) -> Provenance:
    """Describe this machine and this program, now.

    command: what the user asked for, kept as text.
    """
    revision, modified = _git_state(Path(version.__file__).resolve().parent)
    return Provenance(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        packages=package_versions(),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()}",
        hardware=hardware(),
        git_revision=revision,
        git_modified=modified,
        command=command,
    )


def package_versions() -> dict[str, str]:
    """Return {package: version} of those installed, without importing any."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def hardware() -> Hardware:
    """Describe the processor and memory."""
    return Hardware(_cpu_name(), platform.machine(), _usable_cores(), _memory_bytes())


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Hardware", "cpu model"):
                return value.strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def _git_state(folder: Path) -> tuple[str | None, bool | None]:
    revision = _git(folder, "rev-parse", "HEAD")
    # An installed copy may lie inside somebody else's repository: only a tracked file makes it ours.
    if not revision or not _git(folder, "ls-files", "__init__.py"):
        return None, None
    return revision, bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
