"""Folder of a run: locked by one process, overwritten only on request."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsr.errors import LsrError, UsageError
from lsr.io.atomic import atomic_file
from lsr.io.folder import Folder, UnfitFileError
from lsr.training.run_folder.checkpoints import MODEL, STATE_FILE

CONFIG_FILE = "config.json"
CHECKPOINTS = "checkpoints"
TRAINING_FILE = "training.json"

LOCK_FILE = ".lock"

BEFORE_THE_FIRST_STEP = {CONFIG_FILE, CHECKPOINTS, "fitted-head", "topics.npy", "overlap.npy", "negatives"}
"""Entries of a folder before the first step; nothing is lost with them."""

CHANGEABLE = (
    "train.log_every",
    "train.checkpoint",
    "train.keep",
    "train.workers",
    "train.trackers",
    "eval.",
    "description",
)
"""Prefixes of keys that may differ where a run is resumed: they don't change what is computed."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a run's folder, which is made if it isn't there. Raises LsrError while another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = Folder.open(folder).open_or_create(LOCK_FILE)
    except UnfitFileError as error:
        raise LsrError(f"{folder / LOCK_FILE} can't be locked ({error.strerror}): remove it") from error
    with os.fdopen(descriptor, "r+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LsrError(f"{folder}: another process is training into it: wait for it, or give --output") from error
        yield


def prepare(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Check that a locked folder is empty or may be used; empty it if it may be overwritten.

    Raises UsageError where something is in it and neither `resume` nor `overwrite` is set.
    """
    there = [path for path in folder.iterdir() if path.name != LOCK_FILE]
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if resume and not (folder / CONFIG_FILE).is_file():
        raise UsageError(f"{folder}: no training was started here, so there is nothing to resume: leave out --resume")
    if not there or resume:
        return
    if not overwrite and not _ended_before_first_step(folder, there):
        raise UsageError(f"{folder} {_state_of(folder)}, --overwrite starts again, --output takes another folder")
    if not (folder / CONFIG_FILE).is_file():
        raise UsageError(f"{folder} holds something else than a training: it isn't overwritten; take another --output")
    for path in there:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _ended_before_first_step(folder: Path, there: Sequence[Path]) -> bool:
    """Return whether all entries of a folder are of a training that ended before its first step."""
    return {path.name for path in there} <= BEFORE_THE_FIRST_STEP and not any((folder / CHECKPOINTS).glob("*"))


def _state_of(folder: Path) -> str:
    """Return what a folder holds and what --resume would do, for a message."""
    if is_finished(folder):
        return "holds a finished training: `lsr index --encoder` takes its model"
    if (folder / CONFIG_FILE).is_file() and not any((folder / CHECKPOINTS).glob("*/" + STATE_FILE)):
        return "holds a training that ended before its first checkpoint: --resume starts it from the beginning"
    return "is in use: --resume continues it"


def is_finished(folder: Path) -> bool:
    """Return whether a folder holds a finished training with its model."""
    return (folder / TRAINING_FILE).is_file() and (folder / MODEL).is_dir()


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the config of a run that starts."""
    write_json(folder / CONFIG_FILE, config)


def read_run_config(folder: Path) -> dict[str, Any]:
    """Return the config of the run in a folder. Raises UsageError where there is none."""
    try:
        values: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder / CONFIG_FILE} can't be read: no training was started here") from error
    return values


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise UsageError if a resumed run would compute something else than with its first config."""
    old, new = (_flat(json.loads(json.dumps(values))) for values in (before, now))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key) and not key.startswith(CHANGEABLE):
            raise UsageError(
                f"config: {key} is {new.get(key)!r}, but this run started with {old.get(key)!r}: resume it with the "
                "same, or start again with --overwrite or another --output"
            )


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    with atomic_file(path) as file:
        file.write((json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found
