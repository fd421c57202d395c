"""The models that the package carries, a folder each; nothing here imports them."""

from __future__ import annotations

from pathlib import Path

DEFAULT = "lsr-mini-v1"
"""What text is encoded with where no encoder is named; `default` means this one."""


def carried(name: str) -> Path | None:
    """Return the folder of a model that the package carries, None for any other name."""
    folder = Path(__file__).parent / (DEFAULT if name == "default" else name)
    return folder if name in ("default", DEFAULT) and folder.is_dir() else None
