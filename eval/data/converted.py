"""Collections of other layouts, written once as BEIR folders into the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from lsr.io.atomic import atomic_folder
from lsr.io.cache import cache_home
from lsr.io.folder import refuse_link


def converted_once(layout: str, parts: Iterable[Path], write: Callable[[Path], None]) -> Path:
    """Return the folder that `write` fills, kept while the parts have the same sizes and times."""
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in parts]
    digest = hashlib.blake2b(json.dumps(stats).encode(), digest_size=8).hexdigest()
    target = cache_home() / "datasets" / f"{layout}-{digest}"
    refuse_link(target)
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(target) as made:
            write(made)
    return target
