"""Detection of a CUDA device without importing torch where there can't be one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_DEVICE = Path("/dev/nvidiactl")
"""What the driver makes; without it torch needs no asking, which takes seconds."""


def has_cuda() -> bool:
    """Return whether torch is installed and finds a CUDA device."""
    if not _DEVICE.exists() or find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())
