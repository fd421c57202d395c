"""Choice of static encoders by their folders. Nothing here imports their kernels."""

from __future__ import annotations

from pathlib import Path

from lsr.encoders.pretrained.hub import bundled

CONFIG_FILE = "lsr_static.json"
"""The file that makes a folder a static encoder."""


def is_static(name_or_path: str | Path) -> bool:
    """Return whether a bundled name or a folder is a static encoder."""
    packaged = bundled(str(name_or_path))
    try:
        folder = Path(name_or_path).expanduser() if packaged is None else packaged.folder
        return (folder / CONFIG_FILE).is_file()
    except (OSError, RuntimeError, ValueError):  # no home folder, or no name of a file
        return False
