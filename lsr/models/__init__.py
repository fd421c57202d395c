"""The models that the package carries, a folder each; nothing here imports them."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT = "lsr-mini-v1"
"""What text is encoded with where no encoder is named; `default` means this one."""

ENCODER_VARIABLE = "LSR_ENCODER"
"""An encoder that this environment variable names takes the place of the default one in commands."""


def default_encoder() -> str:
    """Return the encoder of commands that aren't given one."""
    return os.environ.get(ENCODER_VARIABLE) or DEFAULT


def carried(name: str) -> Path | None:
    """Return the folder of a model that the package carries, None for any other name."""
    folder = Path(__file__).parent / (DEFAULT if name == "default" else name)
    return folder if name in ("default", DEFAULT) and folder.is_dir() else None
