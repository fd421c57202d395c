"""Bundled models, a folder each; nothing here imports them."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT = "lsr-mini-v1"
"""The bundled model that encodes text where no encoder is named; `default` means this one."""

ENCODER_VARIABLE = "LSR_ENCODER"
"""The environment variable that names another default encoder of commands."""


def default_encoder() -> str:
    """Return the name of the encoder that commands use by default."""
    return os.environ.get(ENCODER_VARIABLE) or DEFAULT


def bundled_folder(name: str) -> Path | None:
    """Return the folder of a bundled model, None for any other name."""
    folder = Path(__file__).parent / (DEFAULT if name == "default" else name)
    return folder if name in ("default", DEFAULT) and folder.is_dir() else None
