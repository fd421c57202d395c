"""Cache folders of the training, each made atomically."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsr.errors import LsrError
from lsr.io.atomic import atomic_folder
from lsr.io.folder import refuse_link

ABANDONED_SECONDS = 86_400


def digest_of(*values: Any) -> str:
    """Return a digest of JSON values, 16 hexadecimal digits."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def file_state(path: Path) -> list[Any]:
    """Return a file's path, size and modification time, which change when it does."""
    state = path.stat()
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]


def cached_folder(cache: Path, subject: str, state: str, make: Callable[[Path], None]) -> Path:
    """Return the cached folder of a subject in a state, made by `make` if it isn't there yet.

    subject: a digest of its source, such as a file's path. state: a digest of the source's content; folders of the
    same subject in other states are removed. make: fills an empty folder, which is then renamed in one step, so that
    a killed process leaves no incomplete folder, and the first of two processes wins. Raises LsrError where there is
    no room or no permission.
    """
    target = cache / f"{subject}-{state}"
    refuse_link(target)
    if target.is_dir():
        return target
    try:
        _make(cache, subject, target, make)
    except OSError as error:
        raise LsrError(
            f"{cache}: can't keep prepared data there ({error.strerror or error}): free some space, or set "
            "LSR_CACHE to another folder"
        ) from error
    return target


def _make(cache: Path, subject: str, target: Path, make: Callable[[Path], None]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    for abandoned in cache.glob(".*.tmp"):  # by a process that was killed
        if time.time() - abandoned.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(abandoned, ignore_errors=True)
    with atomic_folder(target) as making:
        make(making)
    for other in cache.glob(f"{subject}-*"):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)
