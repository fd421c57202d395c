"""Names of devices, as commands and configurations give them. Nothing here imports torch."""

from __future__ import annotations

import re

from lsr.errors import UsageError

AUTO = "auto"
WORDS = "bm25"
_NAMES = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?", re.ASCII)


def check_device_name(device: str | None) -> str | None:
    """Return a device's name as it was given. Raises UsageError for one that is no device of this program."""
    if device is not None and not _NAMES.fullmatch(device):
        raise UsageError(f"device {device!r} is not known: give auto, cpu, cuda, cuda:N (such as cuda:1) or mps")
    return device


def is_cpu_or_auto(device: str | None) -> bool:
    """Say whether a device's name leaves the CPU possible."""
    return check_device_name(device) in (None, AUTO, "cpu")


def placement_of(encoder: str, *, device: str | None = None, dtype: str | None = None) -> dict[str, str]:
    """Return the options of `load_encoder` that place a named encoder; none for words, which no device counts.

    Raises UsageError for words on another device than the CPU.
    """
    if encoder != WORDS:
        given = {"device": check_device_name(device), "dtype": dtype}
        return {name: value for name, value in given.items() if value is not None}
    if not is_cpu_or_auto(device):
        raise UsageError(f"encoder {WORDS} counts words, on the CPU, but the device is {device!r}: leave it out")
    return {}
