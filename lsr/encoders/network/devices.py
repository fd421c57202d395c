"""The choice among the devices that torch finds."""

from __future__ import annotations

import torch

from lsr.encoders.device import AUTO, check_device_name
from lsr.errors import EncoderError


def choose_device(device: str | None) -> str:
    """Return torch's name of a device that is there.

    device: `auto` and None are CUDA where there is such a device, else the CPU. A device that is named is taken, or refused: never another in its place. Raises UsageError for an unknown name,
    EncoderError for a device that isn't there.
    """
    name = check_device_name(device)
    if name in (None, AUTO):
        return "cuda" if torch.cuda.is_available() else "cpu"
    assert name is not None
    if name.startswith("cuda"):
        if not torch.cuda.is_available():
            build = "" if torch.version.cuda is not None else ", being a build without CUDA"
            raise EncoderError(
                f"device {name!r} is not there: torch finds no CUDA device on this machine{build}; take auto or cpu"
            )
        number = int(name.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise EncoderError(f"device {name!r} is not there: torch finds {torch.cuda.device_count()} CUDA devices")
    if name == "mps" and not torch.backends.mps.is_available():
        raise EncoderError("device 'mps' is not there: torch finds no Apple GPU on this machine; take auto or cpu")
    return name
