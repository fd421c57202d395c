"""The folder of a run: claimed by one process, never overwritten unasked."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsr.errors import LsrError, UsageError
from lsr.io.atomic import atomic_file

CONFIG_FILE = "config.json"
CHECKPOINTS = "checkpoints"
TRAINING_FILE = "training.json"

LOCK_FILE = ".lock"

BEFORE_THE_FIRST_STEP = {CONFIG_FILE, CHECKPOINTS, "fitted-head", "topics.npy", "overlap.npy", "negatives"}
"""What is in a folder before anything was trained; nothing is lost with it."""

CHANGEABLE = ("train.log_every", "train.checkpoint", "train.keep", "train.workers", "eval.", "description")
"""Beginnings of what may differ where a run is resumed: it changes nothing of what is computed."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a run's folder, which is made if need be. Raises LsrError while another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LsrError(f"{folder}: another process is training into it: wait for it, or give --output") from error
        yield


def prepare(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Make sure that a claimed folder is empty, or may be used.

    Raises UsageError where something stands in it and it isn't said what is to be done with that.
    """
    there = [path for path in folder.iterdir() if path.name != LOCK_FILE]
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if resume and not (folder / CONFIG_FILE).is_file():
        raise UsageError(f"{folder}: no training has begun here, so there is nothing to resume: leave out --resume")
    if not there or resume:
        return
    if not overwrite and not _was_refused(folder, there):
        raise UsageError(
            f"{folder} is in use: --resume goes on with it, --overwrite begins anew, --output takes another"
        )
    if not (folder / CONFIG_FILE).is_file():
        raise UsageError(f"{folder} holds something else than a training: it isn't overwritten; take another --output")
    for path in there:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _was_refused(folder: Path, there: Sequence[Path]) -> bool:
    """Return whether all that stands in a folder is of a training that ended before its first step."""
    return {path.name for path in there} <= BEFORE_THE_FIRST_STEP and not any((folder / CHECKPOINTS).glob("*"))


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Keep the config that a run begins with."""
    write_json(folder / CONFIG_FILE, config)


def read_run_config(folder: Path) -> dict[str, Any]:
    """Return the config that the run in a folder began with. Raises UsageError where there is none."""
    try:
        values: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder / CONFIG_FILE} can't be read: no training has begun here, or not by lsr") from error
    return values


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise UsageError if a resumed run's config would compute something else than it began with."""
    old, new = (_flat(json.loads(json.dumps(values))) for values in (before, now))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key) and not key.startswith(CHANGEABLE):
            raise UsageError(
                f"config: {key} is {new.get(key)!r}, but this run began with {old.get(key)!r}: resume it with the "
                "same, or begin anew with --overwrite or another --output"
            )


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all."""
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
