"""The transaction that changes what is at a path: an index, or a set of shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsr.indexer.shards.editor import SetEditor, merge_set
from lsr.indexer.shards.manifest import is_set
from lsr.indexer.storage.manifest import Manifest
from lsr.indexer.update.editor import IndexEditor
from lsr.indexer.update.merge import merge_index

Editor = IndexEditor | SetEditor


def open_editor(path: str | Path, **options: Any) -> Editor:
    """Begin to change an index or a set. options: of `IndexEditor`, whose errors it raises."""
    return SetEditor(path, **options) if is_set(path) else IndexEditor(path, **options)


def merge_segments(path: str | Path, **options: Any) -> tuple[Manifest, int]:
    """Merge segments of an index, or of each shard of a set. options, returns, errors: of `merge_index`."""
    if is_set(path):
        return merge_set(Path(path), **options)
    return merge_index(path, **options)
