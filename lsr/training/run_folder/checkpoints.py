"""Checkpoints: complete or ignored; the newest and the best are kept."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import LsrError
from lsr.io.atomic import atomic_file, sync_tree

STATE_FILE = "state.json"
"""File that is written last: a checkpoint without it is incomplete."""

MODEL = "model"
"""Folder of a checkpoint, and of a run, that holds the encoder: `lsr index --encoder` takes it."""

TENSORS_FILE = "objective.safetensors"

_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Finished checkpoint. state: the run's, beside that of `transformers.Trainer`."""

    step: int
    folder: Path
    state: Mapping[str, Any]

    @property
    def model(self) -> Path:
        """Folder of the encoder."""
        return self.folder / MODEL


def finish(folder: Path, state: Mapping[str, Any]) -> None:
    """Mark a checkpoint as finished, after a flush of its files to the disk."""
    sync_tree(folder)
    with atomic_file(folder / STATE_FILE) as file:
        file.write(json.dumps(state).encode())


def finished_checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the finished checkpoints in a folder, oldest first. Raises LsrError for a state that can't be read."""
    found = []
    for path in folder.glob("checkpoint-*"):
        name = _NAME.fullmatch(path.name)
        if name is None or not (path / STATE_FILE).is_file():
            continue
        try:
            state = json.loads((path / STATE_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LsrError(
                f"{path / STATE_FILE} can't be read: remove {path}, and the one before it is used"
            ) from error
        found.append(Checkpoint(int(name[1]), path, state))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def remove_unfinished(folder: Path) -> None:
    """Remove incomplete checkpoints, which a killed process left."""
    for path in folder.glob("checkpoint-*"):
        if path.is_dir() and not (path / STATE_FILE).is_file():
            shutil.rmtree(path)


def rotate(folder: Path, *, keep: int, best: int | None) -> None:
    """Remove all finished checkpoints but the newest and the best."""
    old = finished_checkpoints(folder)[:-keep]
    for checkpoint in old:
        if checkpoint.step != best:
            (checkpoint.folder / STATE_FILE).unlink()  # so that a kill meanwhile leaves an incomplete one
            shutil.rmtree(checkpoint.folder)
