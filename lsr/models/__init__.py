"""Bundled models, a folder each; nothing here imports them."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT = "lsr-mini-v1"
"""The bundled model that encodes text where no encoder is named; `default` means this one."""

FAST = "lsr-static-v1"
"""The bundled encoder without a transformer; `fast` means this one."""

_NAMES = {"default": DEFAULT, DEFAULT: DEFAULT, "fast": FAST, FAST: FAST}

ENCODER_VARIABLE = "LSR_ENCODER"
"""The environment variable that names another default encoder of commands."""


def default_encoder() -> str:
    """Return the name of the encoder that commands use by default."""
    return os.environ.get(ENCODER_VARIABLE) or DEFAULT


def bundled_folder(name: str) -> Path | None:
    """Return the folder of a bundled model, None for any other name."""
    folder = None if name not in _NAMES else Path(__file__).parent / _NAMES[name]
    return folder if folder is not None and folder.is_dir() else None
